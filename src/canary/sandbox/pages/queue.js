"use strict";
const list = document.getElementById("documents");

const show = ({ documents }) => {
  list.replaceChildren(
    ...documents.map((each) => {
      const item = document.createElement("li");
      item.dataset.aiType = each.aiType;
      item.textContent = each.title;
      return item;
    }),
  );
  docflow.status(`${documents.length} documents`);
};

const load = async (aiType) => {
  try {
    show(await docflow.call(aiType ? `/api/admin/queue?aiType=${encodeURIComponent(aiType)}` : "/api/documents"));
  } catch (error) {
    docflow.status(error.message);
  }
};

load("");
if (docflow.feature) {
  if (docflow.broken) throw new TypeError("queue: cannot read properties of undefined (reading 'aiType')");
  const filter = document.getElementById("ai-filter");
  filter.hidden = false;
  filter.addEventListener("change", () => {
    if (filter.value) docflow.used("ai_filter");
    load(filter.value);
  });
}

"use strict";
const schedule = async () => {
  docflow.used("export_schedule");
  try {
    const answer = await docflow.call("/api/admin/analytics/export/schedule", { method: "POST" });
    docflow.status(answer.status);
  } catch (error) {
    docflow.status(error.message);
  }
};

if (docflow.feature) {
  const button = document.getElementById("schedule");
  button.hidden = false;
  button.addEventListener("click", schedule);
}

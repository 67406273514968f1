"use strict";
const bars = document.getElementById("bars");

const draw = ({ predictions }) => {
  bars.replaceChildren(
    ...predictions.map(({ day, documents }) => {
      const bar = document.createElement("div");
      bar.className = "bar";
      bar.style.height = `${documents / 2}px`;
      bar.title = `day ${day}: ${documents} documents`;
      return bar;
    }),
  );
  docflow.status("forecast shown");
};

const toggle = async (shown) => {
  if (!shown) {
    bars.replaceChildren();
    docflow.status("");
    return;
  }
  const started = performance.now();
  const measured = {};
  try {
    draw(await docflow.call("/api/admin/analytics/forecast"));
    measured.render_seconds = (performance.now() - started) / 1000;
  } catch (error) {
    docflow.status(error.message);
  }
  docflow.used("forecast_toggle", measured);
};

if (docflow.feature) {
  if (docflow.broken) throw new TypeError("analytics: cannot read properties of undefined (reading 'bars')");
  document.getElementById("forecast").hidden = false;
  document.getElementById("forecast-toggle").addEventListener("change", (event) => toggle(event.target.checked));
}

for (const box of document.querySelectorAll("[data-chart]")) {
  const spec = JSON.parse(document.getElementById(box.dataset.chart).textContent);
  vegaEmbed(box, spec, { actions: false, renderer: "svg", ast: true, tooltip: false })
    .catch((error) => { box.textContent = "The chart could not be drawn: " + error.message; });
}

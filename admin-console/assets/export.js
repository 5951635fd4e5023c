// An export of the log with its progress: reads the bundle line by line as it comes, and keeps it for download. What broke off is no bundle and is not kept.
(() => {
  "use strict";
  const form = document.querySelector("form[data-export]");
  if (!form || !window.ReadableStream) return;
  const panel = document.getElementById("export-progress");
  const bar = panel.querySelector("progress");
  const words = panel.querySelector("[data-words]");
  const link = panel.querySelector("a[download]");
  const number = new Intl.NumberFormat();
  form.addEventListener("submit", async (event) => {
    // Reports come as downloads: nothing of a document is there before its end.
    if (form.elements.namedItem("as").value !== "bundle") return;
    event.preventDefault();
    panel.hidden = false;
    link.hidden = true;
    bar.value = 0;
    words.textContent = "Asking";
    form.querySelector("button[type=submit]").disabled = true;
    let first = 0;
    let end = 1;
    let shown = 0;
    let whole = false;
    const came = await window.progress.follow(
      form,
      (said) => {
        if (said.type === "header") [first, end] = [said.first, said.end];
        else if (said.type === "leaf") {
          shown += said.detail ? 1 : 0;
          bar.value = said.index - first + 1;
        } else if (said.type === "hidden") bar.value = Math.min(said.index + said.count, end) - first;
        else if (said.type === "footer") whole = true;
      },
      () => {
        bar.max = Math.max(end - first, 1);
        words.textContent = `${number.format(bar.value)} of ${number.format(end - first)} leaves`;
      },
    );
    if (whole) {
      words.textContent = `Done: ${number.format(shown)} records of ${number.format(end - first)} leaves.`;
      bar.value = bar.max;
      window.progress.keep(link, came.pieces);
    } else if (came.refused) {
      words.textContent = "The appliance refused the export. Check what was asked for, and whether you are still signed in.";
    } else {
      words.textContent = "The export broke off before its end: what came is no bundle. Ask for it again.";
    }
    form.querySelector("button[type=submit]").disabled = false;
  });
})();

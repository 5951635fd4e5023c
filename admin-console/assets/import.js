// An import of devices with its progress: reads the answer line by line as it comes, and keeps it for download.
(() => {
  "use strict";
  const form = document.querySelector("form[data-import]");
  if (!form || !window.ReadableStream) return;
  const panel = document.getElementById("import-progress");
  const bar = panel.querySelector("progress");
  const words = panel.querySelector("[data-words]");
  const link = panel.querySelector("a[download]");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    panel.hidden = false;
    link.hidden = true;
    form.querySelector("button[type=submit]").disabled = true;
    let devices = 0;
    let made = 0;
    let refused = 0;
    let ending = "The import stopped before its end. Send it again: it goes on where it stopped.";
    const came = await window.progress.follow(
      form,
      (said) => {
        if (said.outcome === "started") devices = said.devices;
        else if (said.outcome === "refused") refused += 1;
        else if (said.outcome === "failed") ending = `The import stopped: ${said.detail}`;
        else if (said.outcome === "done") ending = `Done: ${said.created} made, ${said.replaced} with a new secret, ${said.existing} there already, ${said.refused} refused.`;
        if (["created", "replaced", "existing", "refused"].includes(said.outcome)) made += 1;
      },
      () => {
        bar.max = Math.max(devices, 1);
        bar.value = made;
        words.textContent = `${made} of ${devices} devices${refused ? `, ${refused} refused` : ""}`;
      },
    );
    words.textContent = came.refused ? "The appliance refused the import. Check the factory key and the manifest." : ending;
    // What came so far can be kept.
    if (came.pieces.length) window.progress.keep(link, came.pieces);
    form.querySelector("button[type=submit]").disabled = false;
  });
})();

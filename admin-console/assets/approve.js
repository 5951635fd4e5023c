// Approving with a passkey (Web Authentication Level 3): this browser computes the digests of what the page shows, and the passkey signs that, never what it is merely told.
(() => {
  "use strict";
  const form = document.querySelector("form[data-approve]");
  const shown = document.getElementById("to-sign");
  if (!shown || !window.crypto?.subtle) return;
  const { text, complain, get, sentence } = window.webauthn;
  const asked = JSON.parse(shown.dataset.asked);
  const hex = (buffer) => [...new Uint8Array(buffer)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const digest = (id) => crypto.subtle.digest("SHA-256", new TextEncoder().encode(document.getElementById(id).textContent));
  const say = (step, good, words) => {
    const row = shown.querySelector(`[data-step="${step}"]`);
    row.querySelector(".mark").textContent = good ? "✓" : "✗";
    row.querySelector(".mark").className = `mark ${good ? "good" : "bad"}`;
    row.querySelector("[data-says]").textContent = words;
    return good;
  };
  const check = async () => {
    const statement = JSON.parse(document.getElementById("statement").textContent);
    const computed = hex(await digest("document"));
    const named = statement.record_sha256 ?? statement.request_sha256;
    const first = say(
      "document",
      computed === named && computed === asked.document,
      `This browser computed ${computed} of the text on this page, and compared it with what the statement names.`,
    );
    const challenge = await digest("statement");
    const second = say(
      "statement",
      hex(challenge) === asked.digest,
      `This browser computed ${hex(challenge)} of the statement on this page: that is what your passkey signs.`,
    );
    shown.dataset.checked = first && second ? "yes" : "no";
    return first && second ? challenge : null;
  };

  const start = async () => {
    const challenge = await check();
    if (!challenge || !form || !window.PublicKeyCredential) return;
    // What is sent is what was signed.
    form.elements.namedItem("statement").value = text(new TextEncoder().encode(document.getElementById("statement").textContent));
    form.hidden = false;
    for (const other of document.querySelectorAll("[data-without-passkeys]")) other.hidden = true;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const button = form.querySelector("button[type=submit]");
      button.disabled = true;
      try {
        await get(form, challenge, { ...asked, user_verification: "required" });
        form.submit();
      } catch (error) {
        complain(
          form,
          sentence(
            error,
            "Nothing was signed: it was cancelled, took too long, or this device has none of your passkeys.",
            "The passkey could not be used. Try again, or sign with an approval key.",
          ),
        );
        button.disabled = false;
      }
    });
  };
  start().catch(() => (shown.dataset.checked = "unable"));
})();

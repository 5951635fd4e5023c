// Passkeys (Web Authentication Level 3). The appliance makes the challenge; here the authenticator is asked and its answer is put into the form.
(() => {
  "use strict";
  const { bytes, text, fill, complain, get, sentence } = window.webauthn;

  const create = async (form, asked) => {
    const answer = await navigator.credentials.create({
      publicKey: {
        challenge: bytes(asked.challenge),
        rp: { id: asked.rp_id, name: asked.rp_name },
        user: { id: bytes(asked.user), name: asked.user_name, displayName: asked.user_name },
        pubKeyCredParams: asked.algorithms.map((alg) => ({ type: "public-key", alg })),
        excludeCredentials: asked.exclude.map((id) => ({ type: "public-key", id: bytes(id) })),
        authenticatorSelection: { residentKey: "required", userVerification: "required" },
        attestation: "none",
      },
    });
    fill(form, {
      client_data: text(answer.response.clientDataJSON),
      attestation_object: text(answer.response.attestationObject),
    });
  };

  const ask = async (form) => {
    if (form.dataset.asked) return JSON.parse(form.dataset.asked);
    const started = await fetch(form.dataset.start, {
      method: "POST",
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: new URLSearchParams({ form_token: form.elements.namedItem("form_token").value }),
      redirect: "error",
    });
    if (!started.ok) throw new Error("the appliance refused");
    const asked = await started.json();
    form.elements.namedItem("ceremony").value = asked.ceremony;
    return asked;
  };

  for (const form of document.querySelectorAll("form[data-passkey]")) {
    if (!window.PublicKeyCredential) continue;
    form.hidden = false;
    form.closest("section").hidden = false;
    for (const other of document.querySelectorAll("[data-without-passkeys]")) other.hidden = true;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const button = form.querySelector("button[type=submit]");
      button.disabled = true;
      try {
        const asked = await ask(form);
        if (form.dataset.passkey === "create") await create(form, asked);
        else await get(form, bytes(asked.challenge), asked);
        form.submit();
      } catch (error) {
        complain(
          form,
          sentence(
            error,
            "The passkey was not used: it was cancelled, took too long, or this device has none for this appliance.",
            "The passkey could not be used. Try again, or sign in another way.",
          ),
        );
        button.disabled = false;
      }
    });
  }
})();

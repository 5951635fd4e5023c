// Passkeys (Web Authentication Level 3). The appliance makes the challenge; here the authenticator is asked and its answer is put into the form.
(() => {
  "use strict";
  const bytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
  const text = (buffer) =>
    btoa(String.fromCharCode(...new Uint8Array(buffer)))
      .replaceAll("+", "-")
      .replaceAll("/", "_")
      .replaceAll("=", "");
  const fill = (form, values) => {
    for (const [name, value] of Object.entries(values)) form.elements.namedItem(name).value = value;
  };
  const complain = (form, sentence) => {
    const place = form.querySelector("[data-complaint]");
    place.textContent = sentence;
    place.hidden = false;
  };
  const sentence = (error) => {
    switch (error.name) {
      case "NotAllowedError":
        return "The passkey was not used: it was cancelled, took too long, or this device has none for this appliance.";
      case "InvalidStateError":
        return "This device already holds a passkey for this account.";
      case "SecurityError":
        return "Passkeys do not work at this address. Use the appliance's own name in the address bar.";
      default:
        return "The passkey could not be used. Try again, or sign in another way.";
    }
  };

  const get = async (form, asked) => {
    const answer = await navigator.credentials.get({
      publicKey: {
        challenge: bytes(asked.challenge),
        rpId: asked.rp_id,
        allowCredentials: asked.allow.map((id) => ({ type: "public-key", id: bytes(id) })),
        userVerification: asked.user_verification,
      },
    });
    fill(form, {
      credential: text(answer.rawId),
      client_data: text(answer.response.clientDataJSON),
      authenticator_data: text(answer.response.authenticatorData),
      signature: text(answer.response.signature),
      user_handle: answer.response.userHandle ? text(answer.response.userHandle) : "",
    });
  };

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
        await (form.dataset.passkey === "create" ? create : get)(form, asked);
        form.submit();
      } catch (error) {
        complain(form, sentence(error));
        button.disabled = false;
      }
    });
  }
})();

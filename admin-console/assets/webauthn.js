// Asking an authenticator (Web Authentication Level 3): what the scripts that sign in, register and approve share.
window.webauthn = (() => {
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
  // Puts an assertion over the challenge into the form.
  const get = async (form, challenge, asked) => {
    const answer = await navigator.credentials.get({
      publicKey: {
        challenge,
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
  const sentence = (error, cancelled, otherwise) => {
    switch (error.name) {
      case "NotAllowedError":
        return cancelled;
      case "InvalidStateError":
        return "This device already holds a passkey for this account.";
      case "SecurityError":
        return "Passkeys do not work at this address. Use the appliance's own name in the address bar.";
      default:
        return otherwise;
    }
  };
  return { bytes, text, fill, complain, get, sentence };
})();

// Checks in this browser that a leaf is in the tree of a signed checkpoint (RFC 6962, C2SP tlog-checkpoint and signed-note): the appliance's own word is not taken.
(async () => {
  "use strict";
  const place = document.getElementById("proof");
  if (!place || !window.crypto?.subtle) return;
  const proof = JSON.parse(place.dataset.proof);
  const bytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
  const sha256 = async (...parts) => {
    const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
    let at = 0;
    for (const part of parts) {
      whole.set(part, at);
      at += part.length;
    }
    return new Uint8Array(await crypto.subtle.digest("SHA-256", whole));
  };
  const same = (one, other) => one.length === other.length && one.every((byte, at) => byte === other[at]);

  // RFC 9162 section 2.1.3.2.
  const rootFrom = async (leaf, index, size, path) => {
    let first = BigInt(index);
    let last = BigInt(size) - 1n;
    let hash = leaf;
    for (const sibling of path) {
      if (last === 0n) return null;
      if ((first & 1n) === 1n || first === last) {
        hash = await sha256(Uint8Array.of(1), sibling, hash);
        while ((first & 1n) === 0n && first !== 0n) {
          first >>= 1n;
          last >>= 1n;
        }
      } else {
        hash = await sha256(Uint8Array.of(1), hash, sibling);
      }
      first >>= 1n;
      last >>= 1n;
    }
    return last === 0n ? hash : null;
  };

  const signedBy = async (note, verifierKey) => {
    const cut = note.lastIndexOf("\n\n");
    const message = new TextEncoder().encode(note.slice(0, cut + 1));
    const first = verifierKey.indexOf("+");
    const name = verifierKey.slice(0, first);
    const key = bytes(verifierKey.slice(verifierKey.indexOf("+", first + 1) + 1));
    if (key[0] !== 1) return false;
    const publicKey = await crypto.subtle.importKey("raw", key.slice(1), { name: "Ed25519" }, false, ["verify"]);
    for (const line of note.slice(cut + 2).split("\n")) {
      if (!line.startsWith(`\u2014 ${name} `)) continue;
      const signature = bytes(line.slice(line.lastIndexOf(" ") + 1)).slice(4);
      if (await crypto.subtle.verify({ name: "Ed25519" }, publicKey, signature, message)) return true;
    }
    return false;
  };

  const say = (step, good, words) => {
    const row = document.querySelector(`[data-step="${step}"]`);
    row.querySelector(".mark").textContent = good ? "✓" : "✗";
    row.querySelector(".mark").className = `mark ${good ? "good" : "bad"}`;
    row.querySelector("[data-says]").textContent = words;
    return good;
  };

  try {
    const leaf = await sha256(Uint8Array.of(0), bytes(proof.envelope));
    const lines = proof.note.split("\n");
    const root = bytes(lines[2]);
    const computed = await rootFrom(leaf, proof.index, lines[1], proof.hashes.map(bytes));
    const included = say(
      "tree",
      computed !== null && same(computed, root),
      "This browser computed the tree's root from the record and the proof, and compared it with the checkpoint's.",
    );
    const signed = say(
      "signature",
      await signedBy(proof.note, proof.verifier_key),
      "This browser verified the checkpoint's Ed25519 signature.",
    );
    place.dataset.checked = included && signed ? "yes" : "no";
  } catch {
    place.dataset.checked = "unable";
  }
})();

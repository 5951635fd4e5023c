// A form whose answer comes line by line: what the scripts that show how far it is share.
window.progress = (() => {
  "use strict";
  // Sends the form, hands each line of the answer to `line` and calls `shown` after each piece. Gives the pieces as they came, so that they can be kept, and whether it was
  // refused or broke off.
  const follow = async (form, line, shown) => {
    const came = { pieces: [], refused: false };
    try {
      const answer = await fetch(form.action, {
        method: "POST",
        headers: { "content-type": "application/x-www-form-urlencoded" },
        body: new URLSearchParams(new FormData(form)),
      });
      if (!answer.ok || !answer.headers.get("content-type").startsWith("application/x-ndjson")) {
        came.refused = true;
        return came;
      }
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = "";
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        came.pieces.push(value);
        const lines = (rest + value).split("\n");
        rest = lines.pop();
        for (const one of lines) line(JSON.parse(one));
        shown();
      }
    } catch {
      // It broke off: what came so far is there, and whoever asked says what it means.
    }
    return came;
  };
  // Offers what came as a file.
  const keep = (link, pieces) => {
    link.href = URL.createObjectURL(new Blob(pieces, { type: "application/x-ndjson" }));
    link.hidden = false;
  };
  return { follow, keep };
})();

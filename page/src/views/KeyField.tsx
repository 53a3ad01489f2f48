/** Field for the server's key, shown when it refuses without. */

import { useState } from "preact/hooks";

export function KeyField({ wrong, onKey }: { wrong: string; onKey(key: string): void }) {
  const [tried, setTried] = useState(false);
  const send = (event: SubmitEvent): void => {
    event.preventDefault();
    const given = String(new FormData(event.currentTarget as HTMLFormElement).get("key") ?? "");
    setTried(true);
    onKey(given);
  };
  return (
    <form class="card key" onSubmit={send}>
      <label for="key">This server asks for a key</label>
      <div class="row">
        <input id="key" name="key" type="password" autocomplete="off" required aria-describedby="key-hint" autofocus />
        <button type="submit" class="main">Go on</button>
      </div>
      <p id="key-hint" class="hint" role={tried ? "alert" : undefined}>
        {tried ? `The server did not take that key. ${wrong}` : "Whoever runs the server gives you one. The page forgets it when you close it."}
      </p>
    </form>
  );
}

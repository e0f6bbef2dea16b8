// Passkeys: asks the browser for one and sends its answer to the gate. Forms work without this; passkeys cannot.

const problem = document.querySelector("#passkey-problem");

function octets(text) {
  const plain = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(plain, (letter) => letter.charCodeAt(0));
}

function text(buffer) {
  const plain = String.fromCharCode(...new Uint8Array(buffer));
  return btoa(plain).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

// For browsers that do not know parse…OptionsFromJSON and toJSON yet.
function parsed(options, making) {
  const parse = making ? PublicKeyCredential.parseCreationOptionsFromJSON : PublicKeyCredential.parseRequestOptionsFromJSON;
  if (parse) return parse.call(PublicKeyCredential, options);
  const made = { ...options, challenge: octets(options.challenge) };
  if (options.user) made.user = { ...options.user, id: octets(options.user.id) };
  for (const list of ["allowCredentials", "excludeCredentials"]) {
    if (options[list]) made[list] = options[list].map((one) => ({ ...one, id: octets(one.id) }));
  }
  return made;
}

function written(credential) {
  if (credential.toJSON) return credential.toJSON();
  const response = { clientDataJSON: text(credential.response.clientDataJSON) };
  for (const name of ["attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (credential.response[name]) response[name] = text(credential.response[name]);
  }
  return {
    id: credential.id, rawId: text(credential.rawId), type: credential.type, response,
    clientExtensionResults: credential.getClientExtensionResults(),
  };
}

async function post(form, path, fields) {
  const answer = await fetch(path, {
    method: "POST",
    headers: { "X-CSRF-Token": form.elements.csrf.value },
    body: new URLSearchParams(fields),
  });
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(told.problem || form.dataset.failed);
  return told;
}

async function prove(form) {
  const making = form.dataset.passkey === "create";
  const asked = await post(form, form.dataset.options, {});
  const publicKey = parsed(JSON.parse(asked.options), making);
  const credential = making ? await navigator.credentials.create({ publicKey }) : await navigator.credentials.get({ publicKey });
  const fields = { flow: asked.flow, answer: JSON.stringify(written(credential)) };
  for (const name of ["name", "next"]) if (form.elements[name]) fields[name] = form.elements[name].value;
  const told = await post(form, form.action, fields);
  location.assign(new URL(told.go, location.origin));
}

for (const form of document.querySelectorAll("form[data-passkey]")) {
  if (!window.PublicKeyCredential) continue;
  form.hidden = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("button");
    button.disabled = true;
    problem.hidden = true;
    try {
      await prove(form);
    } catch (fault) {
      problem.textContent = fault.name === "NotAllowedError" ? form.dataset.refused : fault.message || form.dataset.failed;
      problem.hidden = false;
      button.disabled = false;
    }
  });
}

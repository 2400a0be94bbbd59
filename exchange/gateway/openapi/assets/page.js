// Shows /openapi.json with Swagger UI, and signs what is tried out. A key and its secret stay in the two input fields.
"use strict";

const CLOCK = "/v1/time";
const OURS = new Set(["timestamp", "signature"]); // the page fills these in
const keyedOperations = new Map(); // "GET /v1/account" -> whether it is signed
let aheadMs = 0; // how far the server's clock is ahead of this one

function forms(operation) {
  return Object.values(operation.requestBody?.content || {}).map(({ schema }) => schema);
}

function withoutSamples(description) {
  for (const operations of Object.values(description.paths)) {
    for (const operation of Object.values(operations)) {
      for (const schema of forms(operation)) {
        for (const [name, property] of Object.entries(schema.properties)) {
          // Else the fields of a form begin with invented values, and what nobody typed would be sent.
          if ((schema.required || []).includes(name)) continue;
          delete property.examples;
          property.default = "";
        }
      }
    }
  }
  return description;
}

function withoutSignature(description) {
  for (const [path, operations] of Object.entries(description.paths)) {
    for (const [method, operation] of Object.entries(operations)) {
      const [scheme = {}] = operation.security || [];
      if (!("apiKey" in scheme)) continue;
      keyedOperations.set(`${method.toUpperCase()} ${path}`, "signature" in scheme);
      delete operation.security;
      if (!("signature" in scheme)) continue;
      if (operation.parameters) operation.parameters = operation.parameters.filter(({ name }) => !OURS.has(name));
      for (const schema of forms(operation)) {
        for (const name of OURS) delete schema.properties[name];
        schema.required = (schema.required || []).filter((name) => !OURS.has(name));
      }
    }
  }
  delete description.components.securitySchemes.apiKey;
  delete description.components.securitySchemes.signature;
  return description;
}

async function hmac(secret, payload) {
  if (!crypto.subtle) throw new Error("The browser signs on https or localhost only.");
  const bytes = new TextEncoder();
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", bytes.encode(secret), algorithm, false, ["sign"]);
  const signature = new Uint8Array(await crypto.subtle.sign("HMAC", key, bytes.encode(payload)));
  return Array.from(signature, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function prepare(request) {
  // Swagger UI sends every field of a form; here an empty one is one that was not filled in.
  if (typeof request.body === "string") request.body = request.body.split("&").filter((pair) => !pair.endsWith("=")).join("&");
  const url = new URL(request.url, location.href);
  const method = request.method.toUpperCase();
  const isSigned = keyedOperations.get(`${method} ${url.pathname}`);
  if (isSigned === undefined) return request;
  const key = document.getElementById("key").value.trim();
  const secret = document.getElementById("secret").value.trim();
  request.headers["X-MBX-APIKEY"] = key;
  if (key && !isSigned) return request;
  if (!key || !secret) throw new Error("Type an API key and its secret at the top of the page first.");
  const isForm = method === "POST" || method === "PUT";
  const query = isForm ? url.search.slice(1) : stamped(url.search.slice(1));
  const body = isForm ? stamped(request.body || "") : "";
  const signature = `&signature=${await hmac(secret, query + body)}`;
  request.url = `${url.origin}${url.pathname}${query ? `?${query}` : ""}${isForm ? "" : signature}`;
  if (isForm) request.body = body + signature;
  return request;
}

function stamped(pairs) {
  return `${pairs ? `${pairs}&` : ""}timestamp=${Math.round(Date.now() + aheadMs)}`;
}

async function show() {
  const [description, clock] = await Promise.all([
    fetch("/openapi.json").then((answer) => answer.json()),
    fetch(CLOCK).then((answer) => answer.json()),
  ]);
  aheadMs = clock.serverTime - Date.now();
  SwaggerUIBundle({
    domNode: document.getElementById("swagger"),
    spec: withoutSamples(withoutSignature(description)),
    requestInterceptor: prepare,
    validatorUrl: null,
    deepLinking: true,
    docExpansion: "none",
    defaultModelsExpandDepth: 0,
    displayRequestDuration: true,
    persistAuthorization: false,
  });
}

document.getElementById("keys").addEventListener("submit", (event) => event.preventDefault());
show().catch((error) => {
  document.getElementById("swagger").textContent = `The page can not be shown: ${error.message}`;
});

// Small things that pages do without, too: the menu of a phone starts closed, live figures, a sheet that closes.
// Nothing here makes HTML: text goes in by textContent, as Trusted Types insist.

if (matchMedia("(max-width: 48rem)").matches) {
  document.querySelector("details.menu")?.removeAttribute("open");
}

const account = document.querySelector("details.account");
document.addEventListener("click", (event) => {
  if (account?.open && !account.contains(event.target)) account.open = false;
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && account?.open) {
    account.open = false;
    account.querySelector("summary").focus();
  }
});

const live = document.querySelectorAll("[data-live]");
if (live.length > 0) {
  const format = new Intl.NumberFormat(document.documentElement.lang);
  const source = new EventSource("/live");
  source.addEventListener("message", (event) => {
    const figures = JSON.parse(event.data);
    for (const one of live) {
      const value = figures[one.dataset.live];
      if (typeof value === "number") one.textContent = format.format(value);
    }
  });
  addEventListener("pagehide", () => source.close());
}

for (const one of document.querySelectorAll("[data-copy]")) {
  one.hidden = false;
  one.addEventListener("click", async () => {
    await navigator.clipboard.writeText(one.dataset.copy);
    one.textContent = one.dataset.copied;
  });
}

for (const all of document.querySelectorAll("[data-all]")) {
  all.hidden = false;
  all.addEventListener("change", () => {
    for (const one of document.getElementsByName(all.dataset.all)) one.checked = all.checked;
  });
}

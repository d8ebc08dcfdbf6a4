// @ts-check
// Draws a page's explorers when one of them is near, over http and from file://, from what they saved in
// it; and tells them where the site's files lie: beside this script, at any depth.

/**
 * What a notebook saves of a widget: its traits, and those in bytes by their names.
 * @typedef {{state: Record<string, any>, buffers?: {path: string[], data: string}[]}} SavedWidget
 */

/** What an explorer sees of itself, as with a kernel that never answers. @param {SavedWidget} saved */
function modelWithoutKernel({ state, buffers = [] }) {
  const values = { ...state };
  for (const { path, data } of buffers)
    values[path[0]] = new DataView(Uint8Array.from(atob(data), (c) => c.charCodeAt(0)).buffer);
  /** @type {Map<string, Set<() => void>>} */
  const heard = new Map();
  return {
    /** @param {string} name */
    get: (name) => values[name],
    /** @param {string} name @param {unknown} value */
    set(name, value) {
      if (values[name] === value) return;
      values[name] = value;
      heard.get(`change:${name}`)?.forEach((hear) => hear());
    },
    save_changes() {},
    /** @param {string} event @param {() => void} hear */
    on: (event, hear) => heard.set(event, (heard.get(event) ?? new Set()).add(hear)),
    /** @param {string} event @param {() => void} hear */
    off: (event, hear) => heard.get(event)?.delete(hear),
    send() {},
  };
}

/** Draw an explorer in the place of its mark. @param {Element} view @param {SavedWidget} saved */
async function drawExplorer(view, saved) {
  const el = document.createElement("div");
  const style = Object.assign(document.createElement("style"), { textContent: saved.state._css });
  view.after(style, el);
  // a module comes from no address here, so that a page that is a file has it, too
  const address = URL.createObjectURL(new Blob([saved.state._esm], { type: "text/javascript" }));
  const { default: widget } = await import(address);
  URL.revokeObjectURL(address);
  const model = modelWithoutKernel(saved);
  await widget.initialize?.({ model });
  await widget.render({ model, el });
}

(() => {
  const VIEW = 'script[type="application/vnd.jupyter.widget-view+json"]';
  const STATE = 'script[type="application/vnd.jupyter.widget-state+json"]';
  const NEAR = "1500px 0px";
  const script = /** @type {HTMLScriptElement} */ (document.currentScript);
  globalThis.relvizAssets = script.src.replace(/[^/]*$/, "");

  /** @param {string} src */
  const load = (src) =>
    new Promise((resolve, reject) => {
      const wanted = Object.assign(document.createElement("script"), { src });
      Object.assign(wanted, { onload: resolve, onerror: reject });
      document.head.append(wanted);
    });

  /** @type {Promise<void> | undefined} */
  let begun;

  /** @param {NodeListOf<Element>} views */
  async function begin(views) {
    const data = /** @type {HTMLElement | null} */ (document.querySelector("[data-explorers]"));
    if (data) await load(`${data.dataset.explorers}`);
    const { state } = JSON.parse(document.querySelector(STATE)?.textContent ?? "{}");
    for (const view of views)
      await drawExplorer(view, state[JSON.parse(view.textContent ?? "{}").model_id]);
  }

  addEventListener("DOMContentLoaded", () => {
    const views = document.querySelectorAll(VIEW);
    if (!views.length) return;
    const observer = new IntersectionObserver(
      (seen) => {
        if (seen.some(({ isIntersecting }) => isIntersecting)) begun ??= begin(views);
      },
      { rootMargin: NEAR },
    );
    for (const view of views) if (view.parentElement) observer.observe(view.parentElement);
  });
})();

// @ts-check
// Loads what explorers need when one of them is near, over http and from file://, and tells them where
// the site's files lie: beside this script, at any depth.
(() => {
  const VIEW = 'script[type="application/vnd.jupyter.widget-view+json"]';
  const NEAR = "1500px 0px";
  const script = /** @type {HTMLScriptElement} */ (document.currentScript);
  const here = script.src.replace(/[^/]*$/, "");
  globalThis.relvizAssets = here;

  /** @param {string} src */
  const load = (src) =>
    new Promise((resolve, reject) => {
      const wanted = Object.assign(document.createElement("script"), { src });
      Object.assign(wanted, { onload: resolve, onerror: reject });
      document.head.append(wanted);
    });

  /** @type {Promise<void> | undefined} */
  let begun;

  async function begin() {
    const data = /** @type {HTMLElement | null} */ (document.querySelector("[data-explorers]"));
    await Promise.all([
      load(`${here}vendor/requirejs/require.js`),
      data && load(`${data.dataset.explorers}`),
    ]);
    /** @type {Record<string, string>} */
    const paths = { anywidget: `${here}vendor/anywidget/index` };
    const bundled = [
      "base",
      "controls",
      "output",
      "html-manager",
      "html-manager/dist/libembed-amd",
    ];
    // all of these come in one file, and look for their fonts beside where they think they lie
    for (const name of bundled)
      paths[`@jupyter-widgets/${name}`] = `${here}vendor/html-manager/${name.split("/").pop()}`;
    requirejs.config({ paths });
    await load(`${here}vendor/html-manager/embed-amd.js`);
  }

  addEventListener("DOMContentLoaded", () => {
    const views = document.querySelectorAll(VIEW);
    if (!views.length) return;
    const observer = new IntersectionObserver(
      (seen) => {
        if (seen.some(({ isIntersecting }) => isIntersecting)) begun ??= begin();
      },
      { rootMargin: NEAR },
    );
    for (const view of views) if (view.parentElement) observer.observe(view.parentElement);
  });
})();

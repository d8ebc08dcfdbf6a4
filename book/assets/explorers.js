// @ts-check
// Where the explorers find what they load: beside this script, at any depth, over http and file://.
(() => {
  const script = /** @type {HTMLScriptElement} */ (document.currentScript);
  const here = script.src.replace(/[^/]*$/, "");
  globalThis.relvizAssets = here;
  /** @type {Record<string, string>} */
  const paths = { anywidget: `${here}vendor/anywidget/index` };
  const bundled = ["base", "controls", "output", "html-manager", "html-manager/dist/libembed-amd"];
  // all of these come in one file, and look for their fonts beside where they think they lie
  for (const name of bundled)
    paths[`@jupyter-widgets/${name}`] = `${here}vendor/html-manager/${name.split("/").pop()}`;
  requirejs.config({ paths });
})();

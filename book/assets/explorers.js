// Where the explorers find what they load: beside this script, at any depth, over http and file://.
(() => {
  const here = document.currentScript.src.replace(/[^/]*$/, "");
  globalThis.relvizAssets = here;
  requirejs.config({
    paths: {
      anywidget: `${here}vendor/anywidget/index`,
      // its fonts lie beside it
      "@jupyter-widgets/html-manager/dist": `${here}vendor/html-manager`,
    },
  });
})();

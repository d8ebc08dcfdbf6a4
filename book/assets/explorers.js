// Where the explorers find what they load: beside this script, at any depth, over http and file://.
(() => {
  const here = document.currentScript.src.replace(/[^/]*$/, "");
  globalThis.relvizAssets = here;
  const paths = { anywidget: `${here}vendor/anywidget/index` };
  // all of these come in one file, and look for their fonts beside where they think they lie
  for (const name of ["base", "controls", "output", "html-manager", "html-manager/dist/libembed-amd"])
    paths[`@jupyter-widgets/${name}`] = `${here}vendor/html-manager/${name.split("/").pop()}`;
  requirejs.config({ paths });
})();

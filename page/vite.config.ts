import { readFileSync } from "node:fs";
import { defineConfig, type Plugin } from "vite";

/**
 * Puts wavesurfer's styles into a constructed sheet. It writes a <style> element into its shadow root, which a strict
 * content-security policy blocks; a constructed sheet needs no exception.
 */
function constructedSheets(): Plugin {
  return {
    name: "constructed-sheets",
    transform(code, id) {
      if (!id.endsWith("wavesurfer.esm.js")) return null;
      const found = /(\w+)\.innerHTML=`\\n\s*<style\$\{.*?:""\}>([\s\S]*?)<\/style>/;
      const changed = code.replace(
        found,
        (_, root: string, styles: string) =>
          `${root}.adoptedStyleSheets=[new CSSStyleSheet],${root}.adoptedStyleSheets[0].replaceSync(\`${styles}\`),${root}.innerHTML=\``,
      );
      if (changed === code) throw new Error("wavesurfer's <style> element is not where it was");
      return { code: changed, map: null };
    },
  };
}

/** Puts the licences of what is bundled beside it, as they ask. */
function licences(...packages: string[]): Plugin {
  return {
    name: "licences",
    generateBundle() {
      const text = (name: string): string => `${name}\n\n${readFileSync(`node_modules/${name}/LICENSE`, "utf8").trim()}\n`;
      this.emitFile({ type: "asset", fileName: "licences.txt", source: packages.map(text).join("\n---\n\n") });
    },
  };
}

export default defineConfig({
  plugins: [constructedSheets(), licences("preact", "wavesurfer.js")],
  experimental: { renderBuiltUrl: (name) => `static/${name}` },
  build: {
    outDir: "../src/emotune/server/static",
    emptyOutDir: true,
    target: "es2022",
    modulePreload: false,
    reportCompressedSize: false,
    rolldownOptions: {
      output: { entryFileNames: "page.js", assetFileNames: (asset) => (asset.names[0]?.endsWith(".css") ? "page.css" : "[name][extname]") },
    },
  },
});

// Accessibility of pages: axe-core's violations at 1400 and 420 pixels, light and dark, all folds open; widths, load times.
//
//   npm install --prefix /tmp/axe puppeteer-core axe-core
//   NODE_PATH=/tmp/axe/node_modules node benchmarks/axe.mjs PAGE.html...
//
// Ends with exit code 1 where a violation is serious or critical, or a page is wider than the screen.
import fs from "node:fs";
import path from "node:path";
import { createRequire } from "node:module";

const folder = process.env.NODE_PATH ?? "node_modules";
const require = createRequire(path.resolve(folder, "../here.js"));
const puppeteer = require("puppeteer-core");
const axe = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const browser = await puppeteer.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
let faults = 0;
for (const file of process.argv.slice(2)) {
  for (const width of [1400, 420]) {
    for (const value of ["light", "dark"]) {
      const page = await browser.newPage();
      await page.setViewport({ width, height: 900 });
      await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value }]);
      const begun = performance.now();
      await page.goto(`file://${path.resolve(file)}`, { waitUntil: "load" });
      const load = Math.round(performance.now() - begun);
      await page.evaluate(() => document.querySelectorAll("details").forEach((fold) => (fold.open = true)));
      await page.evaluate(axe);
      const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
      const needed = await page.evaluate(() => document.scrollingElement.scrollWidth);
      const found = violations.map((each) => `${each.impact}: ${each.id} (${each.nodes.length})`);
      console.log(file, width, value, `${needed} pixels wide, loaded in ${load} ms;`, found.join(", ") || "no violation");
      faults += needed > width || violations.some((each) => ["serious", "critical"].includes(each.impact));
      await page.close();
    }
  }
}
await browser.close();
process.exit(faults ? 1 : 0);

// node slides.mjs FILE.html [SHOTS]: is a slide cut off? Every slide is shown in Chromium and measured; the file asks no other host.
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const [file, shots] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", headless: true, args: ["--no-sandbox", "--disable-gpu"] });
const page = await browser.newPage({ viewport: { width: 1280, height: 720 } }), asked = [];
page.on("request", (request) => { if (/^http/.test(request.url())) asked.push(request.url()); });
await page.goto(pathToFileURL(resolve(file)).href);
await page.waitForFunction(() => document.body.dataset.ready === "yes", null, { timeout: 60_000 });
const count = await page.evaluate(() => Reveal.getTotalSlides());
let wrong = asked.length, smallest = 1;
for (let i = 0; i < count; i++) {
  const { bottom, right, scale, words } = await page.evaluate((i) => {
    Reveal.slide(i);
    const fit = Reveal.getCurrentSlide().querySelector(".fit");
    const boxes = [...fit.querySelectorAll("*")].map((element) => element.getBoundingClientRect()).filter((box) => box.width);
    return { bottom: Math.max(...boxes.map((box) => box.bottom)), right: Math.max(...boxes.map((box) => box.right)),
      scale: Number((fit.style.transform.match(/scale\((.*)\)/) ?? [0, 1])[1]), words: fit.textContent.slice(0, 60) };
  }, i);
  smallest = Math.min(smallest, scale);
  if (bottom > 721 || right > 1281 || scale < 0.6) { wrong++; console.log(`slide ${i + 1} ends at ${right.toFixed(0)} x ${bottom.toFixed(0)}, scale ${scale.toFixed(2)}: ${words.trim()}`); }
  if (shots) await page.screenshot({ path: join(shots, `slide_${String(i + 1).padStart(2, "0")}.png`) });
}
await browser.close();
console.log(`${count} slides, the smallest at ${smallest.toFixed(2)}, ${wrong} wrong, ${asked.length} requests`);
process.exit(wrong ? 1 : 0);

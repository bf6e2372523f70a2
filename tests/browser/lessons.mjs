// node lessons.mjs SITE [--sub PATH] [--no-workers] [--answers FILE] [--shots FOLDER] [LESSON.ipynb ...]
//
// Serves the site on the loopback address, opens each lesson in a headless Chromium and runs all of its cells. It fails if a cell
// ends with an error, if a figure is no PNG, if a slider moves nothing, if an answer is not judged as FILE says, is gone after a
// reload or is not in the file to hand in, or if the page asks any other host. FILE: {"05_...ipynb": [{"number", "source", "says"}, ...]}. Needs playwright-core (npm) and chromium.
import { createServer } from "node:http";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { extname, join, normalize } from "node:path";
import { chromium } from "playwright-core";

const [site, ...rest] = process.argv.slice(2), named = [], option = {};
for (let i = 0; i < rest.length; i++) {
  if (!rest[i].startsWith("--")) named.push(rest[i]);
  else option[rest[i].slice(2)] = rest[i] === "--no-workers" ? true : rest[++i];
}
const lessons = named.length ? named : readdirSync(join(site, "files")).filter((name) => /^\d\d_.*\.ipynb$/.test(name)).sort();
const answers = option.answers ? JSON.parse(readFileSync(option.answers)) : {};
const under = option.sub ? `/${option.sub}` : "";
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".mjs": "text/javascript", ".json": "application/json",
  ".css": "text/css", ".wasm": "application/wasm", ".svg": "image/svg+xml" };
const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync"];

const server = createServer((request, response) => {
  const path = decodeURIComponent(new URL(request.url, "http://x").pathname);
  let file = join(site, normalize(path.slice(under.length)));
  if (existsSync(file) && statSync(file).isDirectory()) file = join(file, "index.html");
  if (!path.startsWith(under) || !existsSync(file)) return response.writeHead(404).end();
  const type = TYPES[extname(file)] ?? "application/octet-stream";
  response.writeHead(200, { "content-type": type, "content-length": statSync(file).size }).end(readFileSync(file));
});
await new Promise((done) => server.listen(0, "127.0.0.1", done));
const host = `http://127.0.0.1:${server.address().port}`, base = host + under;
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", headless: true, args: FLAGS });

// what runs inside of the page
const ready = () => window.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel?.status === "idle";
const runAll = async () => {
  const panel = window.jupyterapp.shell.currentWidget, ran = [];
  for (const [i, cell] of panel.content.widgets.entries()) {
    if (cell.model.type !== "code") continue;
    panel.content.activeCellIndex = i;
    const began = performance.now();
    await window.jupyterapp.commands.execute("notebook:run-cell");
    const outputs = cell.model.toJSON().outputs, pictures = outputs.filter((o) => "image/png" in (o.data ?? {}));
    const errors = outputs.flatMap((o) => (o.output_type === "error" ? [`${o.ename}: ${o.evalue}`] : o.name === "stderr" && !/building the font cache/.test(o.text) ? [o.text] : []));
    for (const o of pictures) if (!/^iVBOR/.test(String(o.data["image/png"]))) errors.push("the figure is no PNG");
    ran.push({ i, seconds: (performance.now() - began) / 1000, errors, figures: pictures.length });
  }
  return ran;
};
const showSlider = async () => {
  const content = window.jupyterapp.shell.currentWidget.content;
  const widget = (output) => "application/vnd.jupyter.widget-view+json" in (output.data ?? {});
  const at = content.widgets.findIndex((cell) => cell.model.type === "code" && cell.model.toJSON().outputs.some(widget));
  if (at >= 0) await content.scrollToItem(at, "center");
  return at >= 0;
};
const answer = async ({ number, source }) => {
  const panel = window.jupyterapp.shell.currentWidget, cells = panel.content.widgets;
  const at = (tag) => cells.findIndex((cell) => (cell.model.getMetadata("tags") ?? []).join() === `${tag},${number}`);
  cells[at("exercise")].model.sharedModel.setSource(source);
  for (const tag of ["exercise", "check"]) {
    panel.content.activeCellIndex = at(tag);
    await window.jupyterapp.commands.execute("notebook:run-cell");
  }
  panel.content.scrollToItem?.(at("check"));
  return cells[at("check")].model.toJSON().outputs.map((o) => o.text ?? o.evalue ?? Object.values(o.data ?? {}).join()).join("\n");
};

let wrong = 0;
for (const lesson of lessons) {
  const context = await browser.newContext({ viewport: { width: 1400, height: 1000 }, serviceWorkers: option["no-workers"] ? "block" : "allow" });
  const page = await context.newPage(), outside = new Set(), said = [], bad = [];
  context.on("request", (request) => { if (/^http/.test(request.url()) && !request.url().startsWith(host)) outside.add(request.url()); });
  page.on("dialog", (dialog) => dialog.accept());
  page.on("pageerror", (error) => said.push(error.message));
  const began = performance.now();
  let started = NaN, cells = [];
  try {
    await page.goto(`${base}/lab/index.html?path=${lesson}`);
    await page.waitForFunction(ready, null, { timeout: 180_000 });
    started = (performance.now() - began) / 1000;
    cells = await page.evaluate(runAll);
    if (await page.evaluate(showSlider)) {
      const slider = page.locator(".widget-slider .noUi-handle").first(), picture = page.locator("img.widget-image").first();
      await slider.waitFor({ timeout: 60_000 });
      const before = await picture.getAttribute("src");
      await slider.scrollIntoViewIfNeeded();
      const { x, y, width, height } = await slider.boundingBox();
      await page.mouse.move(x + width / 2, y + height / 2);
      await page.mouse.down();
      await page.mouse.move(x + width / 2 + 30, y + height / 2, { steps: 5 });
      await page.mouse.up();
      const other = ([image, old]) => image.src !== old;
      const moved = await page.waitForFunction(other, [await picture.elementHandle(), before], { timeout: 60_000 }).catch(() => null);
      if (!moved) bad.push("a slider was moved, and the picture stayed");
      if (option.shots) await page.screenshot({ path: join(option.shots, lesson.replace(/\.ipynb$/, "_slider.png")) });
    }
    for (const [k, given] of (answers[lesson] ?? []).entries()) {
      const told = await page.evaluate(answer, given);
      if (!told.includes(given.says)) bad.push(`exercise ${given.number} says ${JSON.stringify(told.slice(0, 200))}, expected ${JSON.stringify(given.says)}`);
      if (option.shots) await page.screenshot({ path: join(option.shots, lesson.replace(/\.ipynb$/, `_answer_${k}.png`)) });
    }
    const last = (answers[lesson] ?? []).at(-1);
    if (last) {  // work saves itself, survives a reload, and can be handed in
      await page.waitForFunction(() => !window.jupyterapp.shell.currentWidget.context.model.dirty, null, { timeout: 20_000 });
      await page.reload();
      await page.waitForFunction(ready, null, { timeout: 90_000 });
      const kept = await page.evaluate(() => window.jupyterapp.shell.currentWidget.content.widgets.map((cell) => cell.model.sharedModel.getSource()));
      if (!kept.includes(last.source)) bad.push("an answer was saved, and is gone after a reload");
      const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Download" }).click()]);
      const { cells: given } = JSON.parse(readFileSync(await file.path(), "utf8"));
      if (!given.some((cell) => [cell.source].flat().join("") === last.source)) bad.push("an answer is not in the file to hand in");
    }
  } catch (error) { bad.push(String(error.message).split("\n")[0], ...said.slice(0, 2)); }
  if (option.shots) await page.screenshot({ path: join(option.shots, lesson.replace(/ipynb$/, "png")) });
  for (const cell of cells) for (const text of cell.errors) bad.push(`cell ${cell.i}: ${text}`);
  for (const url of outside) bad.push(`asked ${new URL(url).hostname}`);
  if (!cells.length) bad.push("no cell was run");
  wrong += bad.length > 0;
  const sum = cells.reduce((all, cell) => all + cell.seconds, 0), slowest = Math.max(0, ...cells.map((cell) => cell.seconds));
  const figures = cells.reduce((all, cell) => all + cell.figures, 0);
  console.log(`${bad.length ? "WRONG" : "right"}  ${lesson.padEnd(34)} kernel after ${started.toFixed(1)} s, ${cells.length} cells and ${figures} figures in ${sum.toFixed(1)} s, slowest ${slowest.toFixed(1)} s, ${outside.size} requests elsewhere`);
  for (const text of bad) console.log(`  ${text.slice(0, 300)}`);
  await context.close();
}
await browser.close();
server.close();
console.log(`${lessons.length - wrong} right, ${wrong} wrong`);
process.exit(wrong ? 1 : 0);

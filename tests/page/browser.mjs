/** Does one scene with the page in Chromium and writes what was seen as JSON: node browser.mjs SCENE URL ARGUMENT ... */

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const modules = createRequire(`${process.env.PAGE}/package.json`);
const { chromium } = modules("playwright-core");

const seen = { policy: [], faults: [] };

/** A browser's page whose violations of the policy, and own faults, are noted. */
async function open(url, options = {}) {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM,
    args: ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", "--mute-audio",
      ...(process.env.MICROPHONE ? [`--use-file-for-fake-audio-capture=${process.env.MICROPHONE}`] : [])],
  });
  const page = await (await browser.newContext({ acceptDownloads: true, ...options })).newPage();
  page.setDefaultTimeout(30_000);
  page.on("pageerror", (error) => seen.faults.push(String(error)));
  page.on("console", (message) => {
    if (/content.security.policy/i.test(message.text())) seen.policy.push(message.text());
  });
  page.on("request", (request) => {
    if (!/^(blob|data):/.test(request.url()) && !request.url().startsWith(url)) seen.faults.push(`asked ${request.url()}`);
  });
  await page.addInitScript(() => {
    window.violations = [];
    addEventListener("securitypolicyviolation", (event) => violations.push(event.violatedDirective));
    const ask = navigator.mediaDevices?.getUserMedia.bind(navigator.mediaDevices);
    if (ask) navigator.mediaDevices.getUserMedia = (wanted) => { window.wanted = wanted; return ask(wanted); };
  });
  await page.goto(url);
  return { browser, page };
}

const chooser = (page) => page.locator("input[type=file]");
const heard = (page, name) => page.getByRole("heading", { level: 2, name, exact: true }).waitFor();
const rows = (page) => page.locator("tbody tr").evaluateAll((all) => all.map((row) => [...row.cells].slice(1).map((cell) => cell.innerText.trim())));
const ready = (page) => page.waitForFunction(() => !document.querySelector(".start button.main").disabled);
const focused = (page) => page.evaluate(() => {
  const one = document.activeElement;
  return one.getAttribute("aria-label") ?? one.labels?.[0]?.innerText ?? one.innerText;
});

/** Tabs until what has the focus is called so. */
async function tabTo(page, wanted, most = 80) {
  const passed = [];
  for (let step = 0; step < most; step += 1) {
    await page.keyboard.press("Tab");
    const name = await focused(page);
    if (name.startsWith(wanted)) return;
    passed.push(name);
  }
  throw new Error(`no way to ${wanted} by Tab, only to ${passed.join(" | ")}`);
}

const SCENES = {
  async upload(page, files) {
    await chooser(page).setInputFiles(files.split(","));
    await heard(page, files.split(",")[0].split("/").pop());
    await page.waitForFunction(() => !document.querySelector(".recordings progress"));
    return {
      rows: await rows(page),
      sum: await page.locator(".sum").innerText(),
      states: await page.locator(".recordings li").allInnerTexts(),
      alerts: await page.getByRole("alert").allInnerTexts(),
      dots: await page.locator(".plane circle").count(),
      bands: await page.locator(".band").count(),
    };
  },

  async play(page, file) {
    await chooser(page).setInputFiles(file);
    await heard(page, file.split("/").pop());
    const second = page.getByRole("button", { name: /^Play \d/ }).nth(1);
    const [, start, end] = /Play (\S+) to (\S+)/.exec(await second.getAttribute("aria-label"));
    await second.click();
    await page.getByRole("button", { name: "Pause" }).waitFor();
    const current = await page.locator("tr.current").count();
    await page.getByRole("button", { name: "Play", exact: true }).waitFor();
    const after = await page.locator(".clock span").innerText();
    return { start, end, after, current };
  },

  async record(page) {
    await page.getByRole("button", { name: "Record" }).click();
    await page.waitForFunction(() => /0:0[3-9]/.test(document.querySelector(".live .clock")?.innerText ?? ""));
    await page.locator(".live .bars").waitFor();
    const live = await page.locator(".live .now").innerText();
    const notes = await page.locator(".live .hint").allInnerTexts();
    await page.getByRole("button", { name: /^Stop/ }).click();
    await page.locator(".sum").waitFor();
    const whole = await page.locator(".controls .clock small").innerText();
    return { wanted: await page.evaluate(() => wanted), notes, live, whole, rows: await rows(page), names: await page.locator(".recordings .name").allInnerTexts() };
  },

  async downloads(page, files, threshold) {
    await chooser(page).setInputFiles(files.split(","));
    await heard(page, files.split(",")[0].split("/").pop());
    await page.waitForFunction(() => !document.querySelector(".recordings progress"));
    await page.getByRole("slider", { name: /below$/ }).fill(threshold);
    const all = page.getByRole("checkbox");
    if (await all.count()) await all.check();
    const found = {};
    for (const button of await page.locator("[data-format]:enabled").all()) {
      const refused = page.locator(".downloads [role=alert]").waitFor().then(async () => {
        throw new Error(await page.locator(".downloads").innerText());
      });
      const [download] = await Promise.race([Promise.all([page.waitForEvent("download"), button.click()]), refused]);
      refused.catch(() => undefined);
      const format = await button.getAttribute("data-format");
      found[format] = { name: download.suggestedFilename(), text: readFileSync(await download.path(), "utf8") };
      await page.waitForFunction(() => document.querySelectorAll("[data-format]:enabled").length > 0);
    }
    return { found, uncertain: (await rows(page)).filter((row) => row.join().includes("uncertain")).length };
  },

  async keyboard(page) {
    await tabTo(page, "Try a sample");
    await page.keyboard.press("Enter");
    await heard(page, "sample.mp3");
    await tabTo(page, "Answer: segments");
    const band = page.getByRole("slider", { name: /^Answer: segments/ });
    const first = await band.getAttribute("aria-valuetext");
    await page.keyboard.press("ArrowRight");
    const second = await band.getAttribute("aria-valuetext");
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: "Pause" }).waitFor();
    await tabTo(page, "Say");
    for (let step = 0; step < 60; step += 1) await page.keyboard.press("ArrowRight");
    const threshold = await page.locator("output").innerText();
    await tabTo(page, "Play 0");
    await page.keyboard.press("Enter");
    await tabTo(page, "CSV table");
    const [download] = await Promise.all([page.waitForEvent("download"), page.keyboard.press("Enter")]);
    return { first, second, threshold, file: download.suggestedFilename() };
  },

  async compare(page, second) {
    await page.getByLabel("Compare with").selectOption(second);
    await page.getByRole("button", { name: "Try a sample" }).click();
    await page.getByText(/two models agree/).waitFor();
    return { sum: await page.locator(".sum").innerText(), bands: await page.locator(".band").count(), sliders: await page.locator(".threshold input").count() };
  },

  async cancel(page, file) {
    const jobs = [];
    page.on("request", (request) => { if (request.url().includes("/v1/jobs") && request.method() !== "GET") jobs.push(request.method()); });
    const begun = page.waitForResponse((response) => response.url().includes("/v1/jobs?"));
    await chooser(page).setInputFiles(file);
    await begun;
    await page.getByRole("button", { name: /^Cancel/ }).click();
    const cancelled = await page.locator(".recordings .state").innerText();
    await page.getByRole("button", { name: /^Try .* again/ }).click();
    await heard(page, file.split("/").pop());
    return { cancelled, jobs };
  },

  async channels(page, file) {
    await page.locator(".settings summary").click();
    await page.getByLabel("Channels").selectOption("each");
    await page.getByRole("button", { name: "Use these" }).click();
    await chooser(page).setInputFiles(file);
    await heard(page, file.split("/").pop());
    return { labels: (await page.locator(".lane:has(.band) .label").allInnerTexts()) };
  },

  async key(page, key) {
    const field = page.getByLabel("This server asks for a key");
    await field.fill("wrong");
    await page.keyboard.press("Enter");
    const refusal = await page.getByText(/did not take that key/).innerText();
    await field.fill(key);
    await page.keyboard.press("Enter");
    await ready(page);
    await page.getByRole("button", { name: "Try a sample" }).click();
    await heard(page, "sample.mp3");
    return { refusal, kept: await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie])) };
  },

  async accessibility(page) {
    const faults = [];
    const look = async (where) => {
      await page.evaluate(readFileSync(modules.resolve("axe-core/axe.min.js"), "utf8"));
      const { violations } = await page.evaluate(() => axe.run());
      for (const one of violations) {
        faults.push({ where, impact: one.impact, id: one.id, what: one.nodes.map((node) => `${node.html} ${node.failureSummary}`).slice(0, 3) });
      }
    };
    await look("start");
    await page.getByRole("button", { name: "Try a sample" }).click();
    await heard(page, "sample.mp3");
    await page.locator(".settings summary").click();
    await page.getByRole("slider", { name: /below$/ }).fill("0.6");
    await look("heard");
    await page.emulateMedia({ colorScheme: "dark", reducedMotion: "reduce" });
    await look("dark");
    await page.setViewportSize({ width: 360, height: 700 });
    await look("narrow");
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    return { faults, wide };
  },
};

const [scene, url, ...given] = process.argv.slice(2);
const { browser, page } = await open(url);
try {
  if (scene !== "key") await ready(page);
  const found = await SCENES[scene](page, ...given);
  seen.policy.push(...(await page.evaluate(() => violations)));
  console.log(JSON.stringify({ ...seen, ...found }));
} finally {
  await browser.close();
}

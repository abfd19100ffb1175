// Chromium, told what to do by lines of JSON on stdin; each is answered by one line on stdout.
//
// Arguments: program, port of the ingress, port of the provider, hash of the public key of both.
import { createInterface } from 'node:readline';
import puppeteer from 'puppeteer-core';

const [executablePath, ingress, provider, key] = process.argv.slice(2);
const timeout = 30_000;

const browser = await puppeteer.launch({
  executablePath,
  args: [
    '--no-sandbox',
    '--disable-dev-shm-usage',
    `--host-resolver-rules=MAP id.example.net 127.0.0.1:${provider}, MAP *.example.com 127.0.0.1:${ingress}, MAP * ~NOTFOUND`,
    `--ignore-certificate-errors-spki-list=${key}`,
  ],
});
const people = new Map();
const tabs = new Map();

/** The tab of that name, of a person with cookies of their own. */
async function tab({ person, tab: name = 'one' }) {
  if (!people.has(person)) {
    people.set(person, await browser.createBrowserContext());
  }
  const id = `${person} ${name}`;
  if (!tabs.has(id)) {
    const page = await people.get(person).newPage();
    page.setDefaultTimeout(timeout);
    tabs.set(id, page);
  }
  // Clicks go to the tab in front.
  await tabs.get(id).bringToFront();
  return tabs.get(id);
}

/** What a person sees. */
async function seen(page, response) {
  const text = await page.evaluate(() => document.body?.innerText ?? '');
  return {
    // An answer without a body has a page of the browser's own in its place.
    url: response?.url() ?? page.url(),
    text,
    status: response?.status(),
    redirects: response?.request().redirectChain().map((request) => request.url()),
  };
}

const asks = {
  async goto(ask) {
    const page = await tab(ask);
    const response = await page.goto(ask.url, { waitUntil: 'load' });
    return seen(page, response);
  },
  /** Fills in the provider's forms until it leads elsewhere. */
  async sign_in(ask) {
    const page = await tab(ask);
    let response;
    for (let form = 0; new URL(page.url()).host === 'id.example.net'; form += 1) {
      if (form === 4) {
        throw new Error(`the provider asks on: ${page.url()}`);
      }
      const login = await page.$('input[name=login]');
      if (login) {
        await login.type(ask.person);
        await page.type('input[name=password]', 'any');
      }
      [response] = await Promise.all([
        page.waitForNavigation({ waitUntil: 'load' }),
        page.click('button[type=submit]'),
      ]);
    }
    return seen(page, response);
  },
  async click(ask) {
    const page = await tab(ask);
    const [response] = await Promise.all([
      page.waitForNavigation({ waitUntil: 'load' }),
      page.click(ask.selector),
    ]);
    return seen(page, response);
  },
  async cookies({ person }) {
    return people.get(person).cookies();
  },
  /** All cookies are gone, the provider's too. */
  async forget({ person }) {
    const context = people.get(person);
    await context.deleteCookie(...await context.cookies());
  },
  /** Where a browser goes from a page by that Location. */
  async resolve({ base, location }) {
    const page = await tab({ person: 'nobody' });
    return page.evaluate((to, from) => new URL(to, from).href, location, base);
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  let answer;
  try {
    const ask = JSON.parse(line);
    answer = { done: await asks[ask.do](ask) ?? null };
  } catch (error) {
    answer = { failed: String(error.stack ?? error) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
await browser.close();

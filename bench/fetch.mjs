// Node's own fetch as a contender.
//
//   fetch.mjs status URL COUNT
//   fetch.mjs statuses URL COUNT AT_ONCE
//   fetch.mjs file URL

const headers = { authorization: "Bearer demo-token", accept: "application/json" };
const [mode, url, count, atOnce] = process.argv.slice(2);

async function status() {
  const response = await fetch(url, { headers });
  const body = await response.json();
  if (response.status !== 200 || body.status !== "SUCCEEDED") throw new Error("no status");
}

if (mode === "status") {
  for (let i = 0; i < Number(count); i++) await status();
} else if (mode === "statuses") {
  let left = Number(count);
  const worker = async () => {
    while (left-- > 0) await status();
  };
  await Promise.all(Array.from({ length: Number(atOnce) }, worker));
} else {
  let total = 0;
  const response = await fetch(url, { headers });
  for await (const chunk of response.body) total += chunk.length;
  console.log(total);
}

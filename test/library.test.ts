import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it, vi } from "vitest";

const docs = new URL("../docs/", import.meta.url);
const examples = readdirSync(new URL("examples/", docs)).filter((file) => file.endsWith(".ts"));
const page = readFileSync(new URL("library.md", docs), "utf8");

/** What each example prints somewhere, so that one that does nothing is noticed. */
const prints: Readonly<Record<string, readonly string[]>> = {
  "trace.ts": ["DELIVERED", "DNAT dst 10.96.44.10:80 =>"],
  "lab.ts": [
    "a ARP, Request who-has 192.0.2.2 tell 192.0.2.1, length 28",
    "a IP 192.0.2.1 > 192.0.2.2: ICMP echo request, id 7, seq 1",
    "192.0.2.2 dev eth0 lladdr",
  ],
  "texts.ts": [
    "-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT",
    "ip netns add a",
    'did you mean "mark"?',
  ],
  "dns-server.ts": [
    "web.shop.svc.cluster.local. NOERROR 10.96.0.20",
    "forward answered 203.0.113.53:53 over udp: NOERROR",
    "example.org. the world does not say what the resolver 203.0.113.53 answers for example.org.",
    "cache hit success item of 30 s, 20 s left",
  ],
  "policy.ts": [
    "deny no-policy denied-no-rule",
    "DENIED  shop/web-0 -> shop/db-0 tcp/5432, ingress of shop/db-0",
    '["add a peer to rule 1 of shop/db-from-api: 1"',
    "6 pairs x declared ports",
    "  1 pair  ingress: no rule of shop/db-from-api matches",
  ],
  "scenario.ts": [
    "20 s request: TCP shop/api-0 -> shop/web:80 DELIVERED",
    "50 s request: TCP shop/api-0 -> shop/web:80 NO-ROUTE",
    "0 of 2 expectations failed",
  ],
  "rules-and-dns.ts": ["KUBE-SVC-", "NOERROR", "kubernetes answered"],
};

describe("the library", () => {
  for (const file of examples) {
    it(`example ${file} stands in docs/library.md and does what it says`, async () => {
      const text = readFileSync(new URL(`examples/${file}`, docs), "utf8");
      expect(page).toContain(`\`\`\`ts\n// examples/${file}\n${text}\`\`\``);
      const lines: string[] = [];
      const log = vi.spyOn(console, "log").mockImplementation((...words: readonly unknown[]) => {
        lines.push(
          words.map((word) => (typeof word === "string" ? word : JSON.stringify(word))).join(" "),
        );
      });
      try {
        await import(`../docs/examples/${file.replace(".ts", "")}.ts`);
      } finally {
        log.mockRestore();
      }
      for (const expected of prints[file] ?? []) expect(lines.join("\n")).toContain(expected);
      expect(prints[file]).toBeDefined();
    });
  }
});

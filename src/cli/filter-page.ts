import { EFFECTS, FILTER_FIELDS, type FilterField } from "../view/filter-fields.js";
import { OPERATORS, PRESETS, PROTOCOLS } from "../view/filter-parse.js";

/** Tests that have a name of their own, in words. */
const PRESET_TEXTS: Readonly<Record<(typeof PRESETS)[number], string>> = {
  decide: "steps that are shown without -v: they decided something, changed the packet or ended it",
  changed: "steps that changed a header field",
  dropped: "steps that end badly: denied, dropped, refused",
  reply: "steps of the answer",
  nat: "steps that translated an address or port",
};

/** docs/filter.md: the filter language, its fields from the table that the parser uses. */
export function filterPage(): string {
  const fields = [...FILTER_FIELDS.values()].filter(({ name }) => !/^(before|after)\./.test(name));
  const own = fields.filter(({ about, name }) => about !== "" && !isHeader(name));
  const headers = fields.filter((field) => !own.includes(field));
  return `# Filters

One language for \`hopwise trace --filter\`, \`hopwise replay --filter\`, the line that \`/\` opens on screen, and break filters (\`B\`). This page is
generated from \`src/view/filter-fields.ts\` by \`node scripts/generate-docs.mjs\`.

\`\`\`
expression = expression or expression | expression and expression | not expression | (expression)
           | FIELD OPERATOR VALUE | FIELD in {VALUE, LOW..HIGH} | FIELD | WORD | "text" | bpf:"packet filter"
\`\`\`

\`||\`, \`&&\` and \`!\` say the same as \`or\`, \`and\`, \`not\`; \`not\` binds tightest, \`or\` least. Operators are ${listed(OPERATORS)}.

- \`==\` on an address takes a network too: \`ip.src == 10.244.0.0/16\`. Text is compared without regard to case.
- A field that occurs twice (\`tcp.port\`): \`==\` means any, \`!=\` means none.
- \`matches\` takes a regular expression of RE2, found anywhere in the value; time grows with the length of the value, whatever the pattern.
- A field alone asks whether it is there: \`policy\`, \`tcp.flags\`. \`before.\` and \`after.\` in front of a header field name the packet as the step found and left it:
  \`before.ip.dst == 10.96.44.10 and after.ip.dst != 10.96.44.10\`. Without them it is the packet after the step.
- \`"text"\` looks through the row as it is printed.
- \`bpf:"tcp port 80"\` takes a packet filter of tcpdump on the bytes: \`host\`, \`net\`, \`port\`, \`portrange\`, \`proto\` with \`src\` and \`dst\`; \`ether\`, \`ip\`, \`ip6\`, \`arp\`, \`tcp\`,
  \`udp\`, \`icmp\` and others; \`vlan\`, \`broadcast\`, \`multicast\`, \`less\`, \`greater\`; \`tcp[tcpflags] & tcp-syn != 0\`. Names of hosts are not looked up.
- In a replay a row is a packet: header fields are those of the packet as captured, \`after.\` as it ended, and everything else is that of the step that decided.

A mistake is told with its column and the nearest word:

\`\`\`
filter:1:1: error: no field "ip.dts"
    1 | ip.dts == 10.96.44.10
      | ^^^^^^
help: did you mean ip.dst?
\`\`\`

## Words

| word | holds for |
|---|---|
${PRESETS.map((word) => `| \`${word}\` | ${PRESET_TEXTS[word]} |`).join("\n")}
| ${PROTOCOLS.map((word) => `\`${word}\``).join(", ")} | packets of the protocol |

\`effect\` is one of ${listed(EFFECTS)}.

## Fields of steps

| field | type | what it is |
|---|---|---|
${own.map(rowOf).join("\n")}

## Fields of packets

They have Wireshark's names; each can have \`before.\` or \`after.\` in front.

| field | type | |
|---|---|---|
${headers.map(rowOf).join("\n")}
`;
}

function isHeader(name: string): boolean {
  return /^(eth|ip|ipv6|arp|icmp|icmpv6|tcp|udp|dns)\./.test(name);
}

function rowOf({ name, type, about }: FilterField): string {
  return `| \`${name}\` | ${type} | ${about} |`;
}

function listed(words: readonly string[]): string {
  return words.map((word) => `\`${word}\``).join(" ");
}

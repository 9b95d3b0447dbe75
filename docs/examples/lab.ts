import { buildLab, formatFrame, parseIpv4, parseLab, runTool, sendRequest } from "hopwise";

const lab = parseLab(
  "two-hosts.yaml",
  `
lab: two-hosts
namespaces: [a, b]
links:
  - ["a:eth0", "b:eth0"]
commands:
  - a: ip addr add 192.0.2.1/24 dev eth0
  - b: ip addr add 192.0.2.2/24 dev eth0
`,
);
const sim = buildLab(lab, 1);

// Every step is an event; frames pass devices where tcpdump would see them.
sim.trace = (event) => {
  if (event.kind === "device" && event.direction === "tx") console.log(event.ns, formatFrame(event.frame));
};
const a = sim.namespaces.get("a");
const address = parseIpv4("192.0.2.2");
if (a === undefined || address === undefined) throw new Error("not in this lab");
sendRequest(a, {
  protocol: "icmp",
  address,
  port: 0,
  sourcePort: 7,
  ttl: undefined,
  data: new TextEncoder().encode("hello"),
  oneWay: false,
});
console.log(runTool(sim, { ns: "a", argv: ["ip", "neigh", "show"] }).stdout);

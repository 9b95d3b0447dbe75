import { decodeDns, DnsProgram, dnsParts, encodeDns, milliseconds, newQuery } from "hopwise";

// A Corefile, objects, what resolvers outside answer: all texts. Nothing else is asked or read.
const corefile = {
  file: "Corefile",
  text: `
.:53 {
    kubernetes cluster.local
    cache 30
    forward . /etc/resolv.conf
}
`,
};
const objects = {
  file: "web.yaml",
  text: `
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {clusterIP: 10.96.0.20, ports: [{port: 80}]}
`,
};
const outside = {
  file: "resolvers.yaml",
  text: `
node-resolv-conf: "nameserver 203.0.113.53"
resolvers:
  203.0.113.53:
    records: |
      example.com. 300 A 192.0.2.80
`,
};
const server = new DnsProgram(dnsParts(corefile, [objects, outside]), { walk: true });

// Messages as bytes, in and out, with the walk through the plugins; what nobody can know is said, not guessed.
function ask(name: string, type: string): void {
  const client = { address: "10.244.1.5", port: 40_000, proto: "udp" } as const;
  server.receive(encodeDns(newQuery(name, type, { id: 1 })), client, ({ replies, unknown, plugins }) => {
    const message = replies[0] === undefined ? undefined : decodeDns(replies[0]);
    const answer = message?.ok === true ? message.value : undefined;
    console.log(name, answer?.rcode ?? unknown, answer?.answers.map(({ data }) => data).join(" "));
    for (const { plugin, action, why } of plugins) console.log("  ", plugin, action, why);
  });
}
ask("web.shop.svc.cluster.local.", "A");
ask("example.com.", "A");
ask("example.org.", "A");

// Time passes when it is told to: the record has 20 of its 30 seconds left.
server.advanceTo(milliseconds(10_000));
ask("example.com.", "A");

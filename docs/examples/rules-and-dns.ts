import { askDns, loadWorld, renderNodeRules } from "hopwise";

const world = loadWorld(
  [
    {
      file: "web.yaml",
      text: `
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web-0, namespace: shop, labels: {app: web}}
spec: {containers: [{name: web, image: web, ports: [{containerPort: 8080}]}]}
`,
    },
  ],
  "web",
);
if (world.kind !== "cluster") throw new Error("a manifest makes a cluster");

// What kubelet and kube-proxy write on a node, and which object each line is there for.
const rules = renderNodeRules(world, "worker-1");
rules.text.split("\n").forEach((line, index) => {
  const origin = rules.origins.get(index + 1);
  if (origin === "Service shop/web") console.log(line);
});

// What CoreDNS answers, and which plugin did what.
const reply = askDns(world, "web.shop.svc.cluster.local");
console.log(reply.rcode, reply.answers);
for (const { plugin, action, why } of reply.plugins) console.log(plugin, action, why);

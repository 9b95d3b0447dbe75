import type { Namespace, Pod } from "kubernetes-types/core/v1.js";
import type { NetworkPolicy, NetworkPolicyPeer } from "kubernetes-types/networking/v1.js";
import { type Random, randomBetween, seededRandom } from "../../../src/base/random.js";
import type { PolicyObjects } from "../../../src/kube/policy/world.js";
import { loaded } from "./cases.js";

/*
 * A cluster like those that people report (spec/network-policy.md section 6): namespaces of about 17 pods, workloads of
 * a few replicas, policies that select one workload or a whole namespace, peers by label, by namespace and by block.
 */

export interface BigWorld {
  readonly pods: number;
  readonly policies: number;
  readonly seed: number;
}

const teams = 12;

export function bigWorld({ pods, policies, seed }: BigWorld): PolicyObjects {
  const random = seededRandom(seed);
  const count = Math.max(1, Math.round(pods / 17));
  const namespaces = Array.from({ length: count }, (_, at): Namespace => ({
    metadata: {
      name: `ns-${at}`,
      labels: { team: `t${at % teams}`, env: at % 3 === 0 ? "prod" : "test" },
    },
  }));
  return {
    namespaces: namespaces.map(loaded),
    nodes: [],
    pods: Array.from({ length: pods }, (_, at) => loaded(makePod(at, count, random))),
    networkPolicies: Array.from({ length: policies }, (_, at) =>
      loaded(makePolicy(at, count, random)),
    ),
  };
}

function makePod(at: number, namespaces: number, random: Random): Pod {
  const namespace = at % namespaces;
  const app = Math.floor(at / namespaces / 3);
  const port = [8080, 9090, 5432, 6379, 443][app % 5] ?? 80;
  const ip = `10.${64 + (at >> 16)}.${(at >> 8) & 255}.${at & 255}`;
  return {
    metadata: {
      name: `app-${app}-${at}`,
      namespace: `ns-${namespace}`,
      labels: {
        app: `app-${app}`,
        version: `v${randomBetween(random, 1, 3)}`,
        "pod-template-hash": String(at),
      },
    },
    spec: {
      nodeName: `node-${at % 100}`,
      containers: [
        { name: "c", ports: [{ name: app % 2 === 0 ? "main" : "http", containerPort: port }] },
      ],
    },
    status: { phase: "Running", podIP: ip, podIPs: [{ ip }] },
  };
}

function makePolicy(at: number, namespaces: number, random: Random): NetworkPolicy {
  const namespace = randomBetween(random, 0, namespaces - 1);
  const whole = random() < 0.2;
  const app = { app: `app-${randomBetween(random, 0, 5)}` };
  const rule = {
    ports: [
      random() < 0.2
        ? { port: "main" }
        : { port: [8080, 9090, 5432][randomBetween(random, 0, 2)] ?? 80 },
    ],
  };
  const peers = Array.from({ length: randomBetween(random, 1, 3) }, () => makePeer(random));
  const egress = random() < 0.3;
  return {
    metadata: { name: `policy-${at}`, namespace: `ns-${namespace}` },
    spec: {
      podSelector: whole ? {} : { matchLabels: app },
      policyTypes: egress ? ["Ingress", "Egress"] : ["Ingress"],
      ingress: [
        { ...rule, from: peers },
        ...(random() < 0.3 ? [{ from: [{ podSelector: {} }] }] : []),
      ],
      ...(egress
        ? {
            egress: [
              {
                to: [{ namespaceSelector: {} }],
                ports: [{ port: 53, protocol: "UDP" }, { port: 8080 }],
              },
            ],
          }
        : {}),
    },
  };
}

function makePeer(random: Random): NetworkPolicyPeer {
  const draw = random();
  if (draw < 0.4)
    return { podSelector: { matchLabels: { app: `app-${randomBetween(random, 0, 5)}` } } };
  if (draw < 0.7)
    return {
      namespaceSelector: { matchLabels: { team: `t${randomBetween(random, 0, teams - 1)}` } },
      podSelector: { matchExpressions: [{ key: "version", operator: "In", values: ["v1", "v2"] }] },
    };
  if (draw < 0.85)
    return {
      namespaceSelector: {
        matchExpressions: [{ key: "env", operator: "NotIn", values: ["test"] }],
      },
    };
  const octet = randomBetween(random, 0, 255);
  return {
    ipBlock: { cidr: `10.64.${octet & 0xf0}.0/20`, except: [`10.64.${octet & 0xf0}.0/24`] },
  };
}

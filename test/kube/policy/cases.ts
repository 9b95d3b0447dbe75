import { readFileSync } from "node:fs";
import type { Namespace, Node, Pod } from "kubernetes-types/core/v1.js";
import type { NetworkPolicy } from "kubernetes-types/networking/v1.js";
import { assumedOrigin, type Loaded } from "../../../src/kube/objects.js";
import { parseAddress } from "../../../src/kube/policy/cidr.js";
import {
  endpointOf,
  type Endpoint,
  type PolicyObjects,
  type PolicyWorld,
} from "../../../src/kube/policy/world.js";

interface WorldObjects {
  readonly namespaces?: readonly Namespace[];
  readonly pods?: readonly Pod[];
  readonly nodes?: readonly Node[];
}

interface Matrix {
  readonly on: readonly (readonly [number, string])[];
  readonly from: readonly string[];
  readonly to: readonly string[];
  readonly rows: readonly string[];
}

export interface PolicyCase {
  readonly id: string;
  readonly title: string;
  readonly origin: { readonly project: string; readonly truth: string };
  readonly world: string;
  readonly policies: readonly { readonly kind: string }[];
  readonly expect: {
    readonly matrices?: readonly Matrix[];
    readonly probes?: readonly (readonly [string, string, number, string, string])[];
  };
}

interface CaseFile {
  readonly worlds: Readonly<Record<string, WorldObjects>>;
  readonly cases: readonly PolicyCase[];
}

/** Recorded truth of test/golden/network-policy.json, origins kept in each case. */
export const caseFile: CaseFile = JSON.parse(
  readFileSync(new URL("../../golden/network-policy.json", import.meta.url), "utf8"),
) as CaseFile;

/** One expected verdict: `.` allow, `X` deny. */
export interface Probe {
  readonly from: string;
  readonly to: string;
  readonly port: number;
  readonly protocol: string;
  readonly expected: "allow" | "deny";
}

export function probesOf({ expect: { matrices = [], probes = [] } }: PolicyCase): readonly Probe[] {
  const out: Probe[] = [];
  for (const { on, from, to, rows } of matrices) {
    for (const [i, source] of from.entries()) {
      for (const [j, destination] of to.entries()) {
        const sign = rows[i]?.[j];
        if (sign !== "." && sign !== "X") continue;
        for (const [port, protocol] of on)
          out.push({
            from: source,
            to: destination,
            port,
            protocol,
            expected: sign === "." ? "allow" : "deny",
          });
      }
    }
  }
  for (const [from, to, port, protocol, verdict] of probes)
    out.push({
      from,
      to,
      port,
      protocol,
      expected: verdict === "." || verdict === "allow" ? "allow" : "deny",
    });
  return out;
}

export function loaded<T>(object: T): Loaded<T> {
  return { object, origin: assumedOrigin("a recorded case") };
}

export function objectsOf({ world, policies }: PolicyCase): PolicyObjects {
  const { namespaces = [], pods = [], nodes = [] } = caseFile.worlds[world] ?? {};
  const ofKind = <T>(kind: string): readonly Loaded<T>[] =>
    policies.filter((policy) => policy.kind === kind).map((policy) => loaded(policy as T));
  return {
    namespaces: namespaces.map(loaded),
    pods: pods.map(loaded),
    nodes: nodes.map(loaded),
    networkPolicies: ofKind<NetworkPolicy>("NetworkPolicy"),
    adminPolicies: ofKind("AdminNetworkPolicy"),
    baselinePolicies: ofKind("BaselineAdminNetworkPolicy"),
    clusterPolicies: ofKind("ClusterNetworkPolicy"),
  };
}

/** `x/a` or an address. */
export function endpointNamed(world: PolicyWorld, text: string): Endpoint {
  const pod = world.podByKey.get(text);
  if (pod !== undefined) return pod;
  const address = parseAddress(text);
  if (address === undefined) throw new Error(`no endpoint ${text}`);
  return endpointOf(world, address);
}

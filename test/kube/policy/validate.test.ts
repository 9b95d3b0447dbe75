import { describe, expect, it } from "vitest";
import { UserError, UserErrors } from "../../../src/base/errors.js";
import { loadObjects } from "../../../src/kube/load.js";
import type { PolicyObjects } from "../../../src/kube/policy/world.js";
import { validatePolicies } from "../../../src/kube/policy/validate.js";

function objects(text: string): PolicyObjects {
  const found = loadObjects([{ file: "p.yaml", text }]).objects;
  return {
    namespaces: [],
    pods: [],
    networkPolicies: found.NetworkPolicy,
    adminPolicies: found.AdminNetworkPolicy,
    baselinePolicies: found.BaselineAdminNetworkPolicy,
    clusterPolicies: found.ClusterNetworkPolicy,
  };
}

function line({ message, details: { place, help } }: UserError): string {
  return `${place?.line}:${place?.column} ${message}${help === undefined ? "" : ` | ${help}`}`;
}

/** What the loader or the validation says. */
function mistakes(text: string): readonly string[] {
  try {
    return validatePolicies(objects(text)).map(line);
  } catch (error) {
    if (error instanceof UserErrors) return error.errors.map(line);
    if (error instanceof UserError) return [line(error)];
    throw error;
  }
}

function policy(spec: string): string {
  return `apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p, namespace: shop}\nspec:\n  podSelector: {}\n${spec.replaceAll(/^/gm, "  ")}\n`;
}

const refused: readonly (readonly [string, string, readonly string[]])[] = [
  [
    "endPort below port",
    "ingress: [{ports: [{port: 90, endPort: 80}]}]",
    [
      "6:42 NetworkPolicy shop/p: spec.ingress[0].ports[0].endPort: Invalid value: 80: must be greater than or equal to `port` | port is 90",
    ],
  ],
  [
    "endPort without port",
    "ingress: [{ports: [{endPort: 80}]}]",
    [
      "6:32 NetworkPolicy shop/p: spec.ingress[0].ports[0].endPort: Invalid value: 80: may not be specified when `port` is not specified | write the first port of the range beside it: port: 1",
    ],
  ],
  [
    "endPort with a name",
    "ingress: [{ports: [{port: http, endPort: 80}]}]",
    [
      "6:44 NetworkPolicy shop/p: spec.ingress[0].ports[0].endPort: Invalid value: 80: may not be specified when `port` is non-numeric | a range has a number at both ends; a name stands alone",
    ],
  ],
  [
    "a port number in quotes",
    'ingress: [{ports: [{port: "80"}]}]',
    [
      '6:29 NetworkPolicy shop/p: spec.ingress[0].ports[0].port: Invalid value: "80": must contain at least one letter (a-z) | a number is written without quotes: port: 80',
    ],
  ],
  [
    "an empty peer",
    "ingress: [{from: [{}]}]",
    [
      "6:21 NetworkPolicy shop/p: spec.ingress[0].from[0]: Required value: must specify a peer | an empty peer matches nobody; leave the whole list out to match everybody",
    ],
  ],
  [
    "a block beside a selector",
    "ingress: [{from: [{podSelector: {}, ipBlock: {cidr: 10.0.0.0/8}}]}]",
    [
      "6:21 NetworkPolicy shop/p: spec.ingress[0].from[0]: Forbidden: may not specify both ipBlock and another peer | write them as two items of the list",
    ],
  ],
  [
    "an address that is no block",
    "ingress: [{from: [{ipBlock: {cidr: 10.0.0.1}}]}]",
    [
      '6:38 NetworkPolicy shop/p: spec.ingress[0].from[0].ipBlock.cidr: Invalid value: "10.0.0.1": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64) | a single address is written 10.0.0.1/32',
    ],
  ],
  [
    "an except outside",
    "ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/24, except: [10.0.1.0/25]}}]}]",
    [
      '6:60 NetworkPolicy shop/p: spec.ingress[0].from[0].ipBlock.except[0]: Invalid value: "10.0.1.0/25": must be a strict subset of `cidr` | cidr is 10.0.0.0/24',
    ],
  ],
  [
    "an except that is everything",
    "ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/24, except: [10.0.0.0/24]}}]}]",
    [
      '6:60 NetworkPolicy shop/p: spec.ingress[0].from[0].ipBlock.except[0]: Invalid value: "10.0.0.0/24": must be a strict subset of `cidr` | cidr is 10.0.0.0/24',
    ],
  ],
  [
    "families mixed",
    "ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/24, except: ['fd00::/64']}}]}]",
    [
      '6:60 NetworkPolicy shop/p: spec.ingress[0].from[0].ipBlock.except[0]: Invalid value: "fd00::/64": must be a strict subset of `cidr` | fd00::/64 is IPv6 and 10.0.0.0/24 is IPv4',
    ],
  ],
  [
    "In without values",
    "ingress: [{from: [{podSelector: {matchExpressions: [{key: a, operator: In}]}}]}]",
    [
      "6:55 NetworkPolicy shop/p: spec.ingress[0].from[0].podSelector.matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'",
    ],
  ],
  [
    "Exists with values",
    "ingress: [{from: [{podSelector: {matchExpressions: [{key: a, operator: Exists, values: [x]}]}}]}]",
    [
      "6:90 NetworkPolicy shop/p: spec.ingress[0].from[0].podSelector.matchExpressions[0].values: Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
    ],
  ],
  [
    "a label that cannot be",
    "ingress: [{from: [{podSelector: {matchLabels: {app: 'a b'}}}]}]",
    [
      "6:55 NetworkPolicy shop/p: spec.ingress[0].from[0].podSelector.matchLabels.app: Invalid value: \"a b\": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
    ],
  ],
  [
    "a field that does not exist",
    "ingress: [{form: [{podSelector: {}}]}]",
    [
      '6:14 NetworkPolicy shop/p: unknown field "form" in spec.ingress[0] | did you mean "from"? Without it the rule would allow everybody.',
    ],
  ],
  [
    "a protocol that does not exist",
    "ingress: [{ports: [{protocol: HTTP}]}]",
    [
      '6:33 NetworkPolicy shop/p: spec.ingress[0].ports[0].protocol must be one of TCP, UDP, SCTP, not "HTTP" | did you mean "TCP"?',
    ],
  ],
];

describe("validation", () => {
  it.each(refused)(
    "refuses %s, in the API server's words and where it stands",
    (_title, spec, expected) => {
      expect(mistakes(policy(spec))).toEqual(expected);
    },
  );

  it("accepts equal ports, host bits, leading zeros and one policy of each kind", () => {
    expect(
      mistakes(
        policy(
          "ingress: [{from: [{ipBlock: {cidr: 010.0.0.1/8}}], ports: [{port: 80, endPort: 80}, {port: http-2}]}]",
        ),
      ),
    ).toEqual([]);
  });

  it("refuses cluster-wide policies that say too much or too little", () => {
    const text = `apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {name: c}
spec:
  tier: Admin
  priority: 1
  subject: {namespaces: {}, pods: {}}
  ingress:
  - {action: Deny, from: [{networks: [10.0.0.0/8]}]}
  egress:
  - {action: Deny, to: [{domainNames: [example.com]}], protocols: [{tcp: {destinationPort: {range: {start: 9, end: 9}}}}]}
---
apiVersion: policy.networking.k8s.io/v1alpha1
kind: BaselineAdminNetworkPolicy
metadata: {name: other}
spec: {subject: {namespaces: {}}, ingress: [{action: Deny, from: []}]}
`;
    expect(mistakes(text)).toEqual([
      "16:66 BaselineAdminNetworkPolicy other: spec.ingress[0].from: Required value | a rule without peers matches nobody",
      '15:18 BaselineAdminNetworkPolicy other: metadata.name: Invalid value: "other": Only one baseline admin network policy with metadata.name="default" can be created in the cluster',
      "7:12 ClusterNetworkPolicy c: spec.subject: Invalid value: must have exactly one field, and has namespaces and pods",
      "9:38 ClusterNetworkPolicy c: spec.ingress[0].from[0].networks: Forbidden: only egress rules have such peers",
      "11:39 ClusterNetworkPolicy c: spec.egress[0].to[0].domainNames: Forbidden: domain names are only for rules that accept",
      "11:100 ClusterNetworkPolicy c: spec.egress[0].protocols[0].tcp.destinationPort.range: Invalid value: start must be less than end",
    ]);
  });
});

import { describe, expect, it } from "vitest";
import { UserError, UserErrors } from "../../src/base/errors.js";
import { checkWorld } from "../../src/lab/check.js";
import { loadWorld } from "../../src/lab/world.js";

const pod = `apiVersion: v1
kind: Pod
metadata: {name: web-0, namespace: shop, labels: {app: web}}
spec: {containers: [{name: web, image: web, ports: [{containerPort: 8080}]}]}
---
`;

/** A world of one pod and a NetworkPolicy; the spec's own lines begin at line 6 of p.yaml. */
function load(spec: string, metadata = "{name: p, namespace: shop}"): ReturnType<typeof loadWorld> {
  const text = `apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: ${metadata}\nspec:\n  podSelector: {}\n${spec.replaceAll(/^/gm, "  ")}\n`;
  return loadWorld(
    [
      { file: "pod.yaml", text: pod },
      { file: "p.yaml", text },
    ],
    "test",
  );
}

/** `line:column message | help` of what loading refuses. */
function refused(spec: string): readonly string[] {
  try {
    load(spec);
    return [];
  } catch (error) {
    const errors =
      error instanceof UserErrors ? error.errors : error instanceof UserError ? [error] : [];
    return errors.map(
      ({ message, details: { place, help } }) =>
        `${place?.file}:${place?.line}:${place?.column} ${message} | ${help ?? ""}`,
    );
  }
}

/** What check says of the policy itself. */
function said(spec: string, metadata?: string): readonly string[] {
  return checkWorld(load(spec, metadata))
    .notes.filter(({ place }) => place?.file === "p.yaml")
    .map(({ what, text, place }) => `${place?.line}:${place?.column} ${what} ${text}`);
}

describe("policies that the API server refuses", () => {
  it.each([
    [
      "an unknown field",
      "ingress: [{form: []}]",
      [
        'p.yaml:6:14 NetworkPolicy shop/p: unknown field "form" in spec.ingress[0] | did you mean "from"? Without it the rule would allow everybody.',
      ],
    ],
    [
      "an invalid selector",
      "ingress: [{from: [{podSelector: {matchExpressions: [{key: app, operator: In}]}}]}]",
      [
        "p.yaml:6:55 NetworkPolicy shop/p: spec.ingress[0].from[0].podSelector.matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn' | ",
      ],
    ],
    [
      "an operator that there is not",
      "ingress: [{from: [{podSelector: {matchExpressions: [{key: app, operator: Is, values: [a]}]}}]}]",
      [
        'p.yaml:6:76 NetworkPolicy shop/p: spec.ingress[0].from[0].podSelector.matchExpressions[0].operator must be one of In, NotIn, Exists, DoesNotExist, not "Is" | did you mean "In"?',
      ],
    ],
    [
      "endPort below port",
      "ingress: [{ports: [{port: 90, endPort: 80}]}]",
      [
        "p.yaml:6:42 NetworkPolicy shop/p: spec.ingress[0].ports[0].endPort: Invalid value: 80: must be greater than or equal to `port` | port is 90",
      ],
    ],
    [
      "a block with both families",
      'egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8, except: ["fd00::/64"]}}]}]',
      [
        'p.yaml:6:56 NetworkPolicy shop/p: spec.egress[0].to[0].ipBlock.except[0]: Invalid value: "fd00::/64": must be a strict subset of `cidr` | fd00::/64 is IPv6 and 10.0.0.0/8 is IPv4',
      ],
    ],
    [
      "an except outside of its block",
      "egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8, except: [192.168.0.0/24]}}]}]",
      [
        'p.yaml:6:56 NetworkPolicy shop/p: spec.egress[0].to[0].ipBlock.except[0]: Invalid value: "192.168.0.0/24": must be a strict subset of `cidr` | cidr is 10.0.0.0/8',
      ],
    ],
  ])("%s is refused with its place", (_, spec, expected) => {
    expect(refused(spec)).toEqual(expected);
  });
});

describe("policies that look wrong", () => {
  it.each([
    [
      "ports without a protocol",
      "ingress: [{ports: [{}]}]",
      undefined,
      [
        "6:22 warning NetworkPolicy shop/p: an empty port entry allows all TCP ports, and no UDP or SCTP; leave ports out to allow everything [tcp-only-empty-port]",
      ],
    ],
    [
      "a block with host bits",
      "egress: [{to: [{ipBlock: {cidr: 192.0.2.7/24}}]}]",
      undefined,
      [
        "6:29 info NetworkPolicy shop/p: 192.0.2.7 has bits beyond /24: it means 192.0.2.0/24 [ipblock-host-bits]",
      ],
    ],
    [
      "a policy in a namespace that there is not",
      "ingress: []",
      "{name: p, namespace: shpo}",
      [
        "3:21 warning NetworkPolicy shpo/p: namespace shpo has no pods; did you mean shop? [selects-no-pod]",
      ],
    ],
  ])("%s is told by check with its place", (_, spec, metadata, expected) => {
    expect(said(spec, metadata)).toEqual(expect.arrayContaining([...expected]));
  });
});

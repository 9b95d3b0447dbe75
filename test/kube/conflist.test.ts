import fc from "fast-check";
import { expect, test } from "vitest";
import { UserError } from "../../src/base/errors.js";
import {
  chooseConflist,
  defaultConflist,
  parseConflist,
  withPodCidr,
} from "../../src/kube/cni/conflist.js";
import { formatConflist } from "../../src/kube/cni/format.js";
import { goJsonError } from "../../src/kube/cni/go-json.js";
import { mistakesOf, shown } from "./texts.js";

const good =
  '{"cniVersion":"1.0.0","name":"k8s","plugins":[{"type":"bridge","ipam":{"type":"host-local","subnet":"usePodCidr"}},{"type":"portmap","capabilities":{"portMappings":true}}]}';

test("a conflist is read, and printed with two spaces and its keys in their order", () => {
  const list = parseConflist(good, "10-bridge.conflist");
  expect([list.name, list.cniVersion, list.plugins.map(({ type }) => type)]).toEqual([
    "k8s",
    "1.0.0",
    ["bridge", "portmap"],
  ]);
  expect(formatConflist(good, "x")).toBe(`${JSON.stringify(JSON.parse(good), undefined, 2)}\n`);
  expect(formatConflist(formatConflist(good, "x"), "x")).toBe(formatConflist(good, "x"));
});

test("a single plugin is a list of one", () => {
  expect(parseConflist('{"name":"lo","type":"loopback"}', "99.conf")).toMatchObject({
    name: "lo",
    cniVersion: "0.1.0",
    plugins: [{ type: "loopback" }],
  });
});

test.each([
  ["", "c:1:1: error parsing configuration list: unexpected end of JSON input"],
  [
    "{not json",
    "c:1:2: error parsing configuration list: invalid character 'n' looking for beginning of object key string",
  ],
  [
    '{"name":"a",}',
    "c:1:13: error parsing configuration list: invalid character '}' looking for beginning of object key string",
  ],
  [
    "[]",
    "c:1:1: error parsing configuration list: json: cannot unmarshal into Go value of type map[string]interface {}",
  ],
  ['{"plugins":[]}', "c:1:1: error parsing configuration list: no name"],
  ['{"name":7,"plugins":[]}', "c:1:9: error parsing configuration list: invalid name type"],
  ['{"name":"a b","plugins":[]}', "c:1:9: invalid characters found in network name: a b"],
  ['{"name":"a","plugins":[]}', "c:1:13: error parsing configuration list: no plugins in list"],
  [
    '{"name":"a","plugins":[{"bridge":"cni0"}]}',
    "c:1:24: error parsing configuration: missing 'type'",
  ],
  [
    '{"name":"a","plugins":[{"type":"brigde"}]}',
    'c:1:32: failed to find plugin "brigde" in path [/opt/cni/bin]\nhelp: did you mean "bridge"?',
  ],
  [
    '{"name":"a","plugins":[{"type":"multus"}]}',
    'c:1:32: hopwise does not model the CNI plugin "multus" yet\nhelp: without this file a bridge is assumed, and check says so',
  ],
])("%s is refused in libcni's words", (text, message) => {
  expect(mistakesOf(() => parseConflist(text, "c")).map(shown)).toEqual([message]);
});

test("the first file by name that loads is taken, and a broken one is told when it is the only one", () => {
  const file = (name: string, text: string): { file: string; text: string } => ({
    file: `/etc/cni/net.d/${name}`,
    text,
  });
  const named = (name: string): string => good.replace('"k8s"', `"${name}"`);
  expect(
    chooseConflist([
      file("87-podman.conflist", named("podman")),
      file("100-crio.conflist", named("crio")),
      file("README", ""),
    ])?.name,
  ).toBe("crio");
  expect(
    chooseConflist([file("05-broken.conflist", "{"), file("10-good.conflist", named("good"))])
      ?.name,
  ).toBe("good");
  expect(
    mistakesOf(() => chooseConflist([file("05-broken.conflist", "{")]))[0]?.details.place?.file,
  ).toBe("/etc/cni/net.d/05-broken.conflist");
  expect(chooseConflist([])).toBeUndefined();
});

test("the node's pod CIDR is put where the file asks for it", () => {
  const [bridge] = withPodCidr(parseConflist(good, "x"), "10.244.7.0/24").plugins;
  expect(bridge?.raw).toMatchObject({ ipam: { subnet: "10.244.7.0/24" } });
  expect(defaultConflist("10.244.7.0/24").plugins[0]?.raw).toMatchObject({
    ipam: { ranges: [[{ subnet: "10.244.7.0/24" }]] },
  });
});

test("Go's scanner accepts exactly what JSON.parse accepts", () => {
  const accepts = (text: string): boolean => {
    try {
      JSON.parse(text);
      return true;
    } catch {
      return false;
    }
  };
  const broken = fc
    .tuple(
      fc.json(),
      fc.nat(40),
      fc.constantFrom("", "{", "]", ",", "x", "0", '"', "\\", "-", ".", "e", " "),
    )
    .map(([text, at, char]) => text.slice(0, at) + char + text.slice(at + 1));
  fc.assert(
    fc.property(fc.oneof(fc.json(), broken, fc.string()), (text) => {
      expect(goJsonError(text) === undefined).toBe(accepts(text));
    }),
    { numRuns: 3_000 },
  );
});

test("whatever the text is, only a UserError is thrown", () => {
  const almost = fc
    .tuple(fc.constant(good), fc.nat(good.length), fc.string({ maxLength: 3 }))
    .map(([text, at, more]) => text.slice(0, at) + more + text.slice(at + more.length));
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json(), almost), (text) => {
      try {
        formatConflist(text, "x");
      } catch (error) {
        expect(error).toBeInstanceOf(UserError);
      }
    }),
    { numRuns: 1_000 },
  );
});

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { UserError, UserErrors } from "../../src/base/errors.js";
import { buildLab } from "../../src/lab/build.js";
import { parseLab } from "../../src/lab/lab-file.js";
import { labScript } from "../../src/lab/shell.js";

const good = `lab: pair
about: two hosts
namespaces: [a, b]
links:
  - ["a:eth0", "b:eth0"]
commands:
  - a: ip addr add 192.0.2.1/24 dev eth0
  - b:
      run: iptables-restore
      stdin: |
        *filter
        -A INPUT -m comment --comment "it's EOF" -j ACCEPT
        COMMIT
listen:
  - b: tcp/80
probes:
  - {from: a, to: 192.0.2.2, port: 80}
`;

function mistakes(text: string): readonly UserError[] {
  try {
    parseLab("lab.yaml", text);
  } catch (error) {
    if (error instanceof UserErrors) return error.errors;
    if (error instanceof UserError) return [error];
    throw error;
  }
  return [];
}

describe("a lab file", () => {
  it("becomes links, commands, programs and probes in its own order", () => {
    const lab = parseLab("lab.yaml", good);
    expect(lab.commands.map(({ argv }) => argv.slice(0, 3).join(" "))).toEqual([
      "ip link add",
      "ip link set",
      "ip link set",
      "ip addr add",
      "iptables-restore",
    ]);
    expect(lab.listeners).toMatchObject([{ ns: "b", protocol: "tcp", port: 80, address: 0 }]);
    expect(lab.probes[0]).toMatchObject({ ns: "a", port: 80, protocol: "tcp" });
  });

  it.each([
    ["an unknown field", good.replace("listen:", "listn:"), /unknown field "listn"/, 14],
    ["an unknown namespace", good.replace("- a: ip", "- aa: ip"), /no namespace "aa"/, 7],
    ["a bad address", good.replace("to: 192.0.2.2", "to: 192.0.2.300"), /not an IP address/, 17],
    [
      "a shell's syntax",
      good.replace("dev eth0\n", "dev eth0 | cat\n"),
      /"\|" is not understood/,
      7,
    ],
    ["an open quote", good.replace("dev eth0\n", "dev 'eth0\n"), /opened and never closed/, 7],
    ["a port that is none", good.replace("tcp/80", "tcp/port"), /expected tcp\/PORT/, 15],
    ["a slash in a name", good.replace("[a, b]", "[a, b/c]"), /expected a name/, 3],
  ])("refuses %s at its place", (_, text, message, line) => {
    const [first] = mistakes(text);
    expect(first?.message).toMatch(message);
    expect(first?.details.place).toMatchObject({ file: "lab.yaml", line });
  });

  it("tells which command failed, in the tool's words", () => {
    const lab = parseLab("lab.yaml", good.replace("dev eth0", "dev eth9"));
    expect(() => buildLab(lab, 1)).toThrow(
      /"ip addr add 192.0.2.1\/24 dev eth9" in a failed: Cannot find device "eth9"/,
    );
  });

  it("never breaks on damaged text", () => {
    fc.assert(
      fc.property(fc.nat(good.length), fc.nat(20), fc.string(), (at, cut, insert) => {
        mistakes(good.slice(0, at) + insert + good.slice(at + cut));
      }),
      { numRuns: 300 },
    );
  });
});

describe("a lab as a shell script", () => {
  it("quotes what a shell would read otherwise, and ends texts by a line they do not hold", () => {
    const script = labScript(
      parseLab("lab.yaml", good.replace("        COMMIT", "        EOF\n        COMMIT")),
    );
    expect(script).toContain("ip netns exec b iptables-restore <<'EOF_'");
    expect(script).toContain(
      "ip link add eth0 address 02:00:00:00:01:01 netns a type veth peer name eth0 address 02:00:00:00:01:02 netns b",
    );
  });

  it("puts a prefix before every namespace and leaves devices alone", () => {
    const script = labScript(parseLab("lab.yaml", good), { prefix: "t-" });
    expect(script).toContain("ip netns add t-a");
    expect(script).toContain("netns t-a type veth peer name eth0");
    expect(script).not.toMatch(/netns (exec )?a\b/);
  });

  it("names the field whose value is of another kind", () => {
    expect(() => parseLab("x.yaml", "lab: x\nnamespaces:\n  a: {}\n")).toThrow(
      "namespaces: Invalid type: Expected Array but received Object",
    );
  });
});

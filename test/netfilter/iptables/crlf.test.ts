import { describe, expect, it } from "vitest";
import { UserError } from "../../../src/base/errors.js";
import { parseRestore } from "../../../src/netfilter/iptables/restore.js";

/** What `restore` says of a text, and the help with it. */
function refusal(text: string, variant: "nft" | "legacy"): readonly (string | undefined)[] {
  try {
    parseRestore(text, { file: "w.rules", variant });
    return [];
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    const { place, help } = error.details;
    return [error.message, `${place?.line}:${place?.column}`, help];
  }
}

const HELP = expect.stringMatching(/CR LF.*: sed -i 's\/\\r\$\/\/' FILE takes them away/);

/** Messages recorded from iptables-nft-restore and iptables-legacy-restore 1.8.9 on Linux 6.18. */
describe("a save file with the line ends of Windows", () => {
  it.each([
    ["nft", "iptables-nft-restore: line 1 table name 'filter\r' invalid"],
    ["legacy", "iptables-restore: unable to initialize table 'filter\r'"],
  ] as const)("is refused by %s at its first line, with the way to mend it", (variant, message) => {
    const text = "*filter\r\n:INPUT ACCEPT [0:0]\r\n-A INPUT -j ACCEPT\r\nCOMMIT\r\n";
    expect(refusal(text, variant)).toEqual([message, "1:1", HELP]);
  });

  it.each([
    ["*filter\n-A INPUT -p tcp --dport 80 -j ACCEPT\r\nCOMMIT\n", "Invalid target name `ACCEPT\r'"],
    ['*filter\n-A INPUT -m comment --comment "x"\r\nCOMMIT\n', "Bad argument `\r'"],
    ["*filter\n-A INPUT -p tcp -j ACCEPT\nCOMMIT\r\n", "Bad argument `COMMIT\r'"],
    ["# c\r\n\r\n*filter\nCOMMIT\n", "line 2 failed"],
  ])("%j is refused as by the real tool", (text, message) => {
    for (const variant of ["nft", "legacy"] as const)
      expect(refusal(text, variant)).toEqual([message, expect.any(String), HELP]);
  });

  it("has the usual help where something else is wrong first", () => {
    const [message, , help] = refusal("*filter\n-A INPUT -m markk --mark 1\r\nCOMMIT\n", "nft");
    expect(message).toContain("Couldn't load match `markk'");
    expect(help).toBe('did you mean "mark"?');
  });
});

import fc from "fast-check";
import { expect, test } from "vitest";
import { runTool } from "../../src/tools/index.js";
import { createLinux } from "../../src/tools/stack.js";

const WORDS =
  "-L -G -I -A -U -D -E -F -C -S -V -p tcp udp icmp 50 -s 10.0.0.1 10.0.0.1/8 fd00::1 -d -r -q -n -g -j 10.0.0.1:80 [fd00::1]:9 --sport --dport 80 --state ESTABLISHED -t 30 -u ASSURED,UNSET -m 0x1/0xff -w 5 -o id,extended xml save ktime -e NEW,DEST -l lab --label-add -z --mask-src 255.0.0.0 expect conntrack -f ipv4 ipv6 --icmp-type 8 --reply-port-src".split(
    " ",
  );
const NFCT =
  "add list get delete flush default-get default-set timeout helper p q inet inet6 tcp udp sctp gre generic icmp established unreplied timeout 5 x".split(
    " ",
  );

function fuzz(program: string, words: readonly string[]): void {
  const sim = createLinux({ seed: 1 });
  sim.createNamespace("node");
  const word = fc.oneof(
    { weight: 20, arbitrary: fc.constantFrom(...words) },
    { weight: 1, arbitrary: fc.string({ maxLength: 12 }) },
  );
  fc.assert(
    fc.property(fc.array(word, { maxLength: 14 }), (args) => {
      const { code, stderr } = runTool(sim, { ns: "node", argv: [program, ...args] });
      expect(code === 0 || stderr !== "").toBe(true);
    }),
    { numRuns: 1_500 },
  );
}

test("conntrack answers any words with a result", () => {
  fuzz("conntrack", WORDS);
});

test("nfct answers any words with a result", () => {
  fuzz("nfct", NFCT);
});

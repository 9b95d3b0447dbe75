import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type BpfInstruction,
  isValidProgram,
  runBpf,
} from "../../../src/netfilter/iptables/bpf-program.js";

/** `48 0 0 9,6 0 0 1` as `--bytecode` has it. */
function program(text: string): readonly BpfInstruction[] {
  return text.split(",").map((line) => {
    const [code = 0, jt = 0, jf = 0, k = 0] = line.split(" ").map(Number);
    return { code, jt, jf, k };
  });
}

const packet = { bytes: Uint8Array.from([0x45, 0, 0, 20, 1, 2, 3, 4]), ancillary: () => undefined };

describe("a classic BPF program", () => {
  it.each([
    ["48 0 0 3,22 0 0 0", 20],
    ["32 0 0 4,22 0 0 0", 0x01020304],
    ["40 0 0 6,4 0 0 4294967295,22 0 0 0", 0x0303],
    ["177 0 0 0,135 0 0 0,22 0 0 0", 20],
    ["0 0 0 5,2 0 0 15,0 0 0 0,96 0 0 15,36 0 0 3,22 0 0 0", 15],
    ["0 0 0 8,1 0 0 0,60 0 0 0,6 0 0 7", 0],
    ["0 0 0 1,132 0 0 0,22 0 0 0", 0xffffffff],
    ["5 0 0 1,6 0 0 9,6 0 0 4", 4],
    ["32 0 0 6,6 0 0 1", 0],
    ["48 0 0 4293918723,22 0 0 0", 20],
    ["32 0 0 4294963232,6 0 0 1", undefined],
  ])("%s returns %s", (text, wanted) => {
    expect(isValidProgram(program(text))).toBe(true);
    expect(runBpf(program(text), packet)).toBe(wanted);
  });

  it.each([
    ["48 0 0 9", "does not end in a return"],
    ["21 0 1 1,6 0 0 0", "jumps behind its end"],
    ["52 0 0 0,6 0 0 0", "divides by a constant 0"],
    ["96 0 0 3,22 0 0 0", "loads what it did not store"],
    ["2 0 0 16,6 0 0 0", "has sixteen words of memory"],
    ["100 0 0 32,6 0 0 0", "shifts by 32"],
    ["21 0 1 5,2 0 0 1,96 0 0 1,22 0 0 0", "may load what one way did not store"],
    ["255 0 0 0,6 0 0 0", "has an unknown instruction"],
  ])("%s is refused: it %s", (text) => {
    expect(isValidProgram(program(text))).toBe(false);
  });

  it("that the kernel would take ends, whatever it is", () => {
    const byte = fc.nat(255);
    const instruction = fc.record({ code: byte, jt: byte, jf: byte, k: fc.nat(0xffff_ffff) });
    fc.assert(
      fc.property(fc.array(instruction, { minLength: 1, maxLength: 64 }), (any) => {
        const made = [...any, { code: 6, jt: 0, jf: 0, k: 1 }];
        if (isValidProgram(made)) expect(runBpf(made, packet) ?? 0).toBeGreaterThanOrEqual(0);
      }),
      { numRuns: 2_000 },
    );
  });
});

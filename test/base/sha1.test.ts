import { createHash } from "node:crypto";
import fc from "fast-check";
import { expect, it } from "vitest";
import { sha1 } from "../../src/base/sha1.js";

it("sha1 is what every other SHA-1 says", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const ours = Buffer.from(sha1(bytes)).toString("hex");
      expect(ours).toBe(createHash("sha1").update(bytes).digest("hex"));
    }),
  );
});

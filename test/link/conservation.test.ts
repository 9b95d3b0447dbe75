import fc from "fast-check";
import { expect, test } from "vitest";
import { devQueueXmit } from "../../src/core/device.js";
import { newSkb } from "../../src/core/simulation.js";
import { bridgeLab, testFrame } from "./link-fixtures.js";

const addresses = fc.constantFrom(
  "02:00:00:00:02:01",
  "02:00:00:00:02:02",
  "02:00:00:00:01:01",
  "02:00:00:00:09:09",
  "ff:ff:ff:ff:ff:ff",
  "01:00:5e:00:00:05",
  "01:80:c2:00:00:00",
  "01:80:c2:00:00:01",
  "01:80:c2:00:00:0e",
  "00:00:00:00:00:00",
);

const flags = fc.record({
  hairpin: fc.boolean(),
  isolated: fc.boolean(),
  learning: fc.boolean(),
  flood: fc.boolean(),
  mcast_flood: fc.boolean(),
  bcast_flood: fc.boolean(),
});

const step = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant("send" as const),
      port: fc.nat(4),
      source: addresses,
      destination: addresses,
      length: fc.integer({ min: 0, max: 1600 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("flip" as const), port: fc.nat(4) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("leave" as const), port: fc.nat(4) }) },
);

test("every frame that enters a bridge is delivered or dropped, once, whatever its ports are set to", () => {
  fc.assert(
    fc.property(
      fc.array(flags, { minLength: 1, maxLength: 4 }),
      fc.array(step, { maxLength: 25 }),
      (ports, steps) => {
        const lab = bridgeLab(ports.length);
        for (const [index, port] of lab.bridge.ports.entries())
          Object.assign(port.flags, ports[index]);
        for (const action of steps) {
          const number = (action.port % ports.length) + 1;
          if (action.kind === "leave") lab.bridge.removePort(lab.ns.device(`p${number}`));
          else if (action.kind === "flip") {
            const end = lab.ns.device(`e${number}`);
            end.setUp(!end.up);
          } else {
            const name = action.port === 4 ? "br0" : `e${number}`;
            devQueueXmit(
              newSkb(lab.ns, testFrame(action.source, action.destination, action.length), "test"),
              lab.ns.device(name),
            );
          }
          if (action.port % 2 === 0) lab.sim.runUntilIdle(undefined, 1_000);
        }
        lab.sim.runUntilIdle(undefined, 1_000);
        const { born, delivered, dropped } = lab.sim.packets;
        expect(delivered + dropped).toBe(born);
        const ended = new Set(
          lab.events.flatMap((event) =>
            event.kind === "delivered" || event.kind === "dropped" ? [event.packet] : [],
          ),
        );
        expect(ended.size).toBe(born);
      },
    ),
  );
});

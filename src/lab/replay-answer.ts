import type { Frame } from "../wire/frame.js";
import { MAC_ZERO } from "../wire/ip.js";

/** What hosts begin with: Linux, Windows, network gear. */
const FIRST_TTLS: readonly number[] = [64, 128, 255];

/**
 * An answer as its program sent it: the captured one with the addresses and ports that the question had where it
 * arrived. Its TTL was the nearest one that hosts begin with.
 */
export function answerFrame(captured: Frame, question: Frame): Frame {
  const { network, transport } = captured;
  const asked = question.network;
  if (network?.kind !== "ipv4" || asked?.kind !== "ipv4") return captured;
  const ttl = FIRST_TTLS.find((first) => first >= network.ttl) ?? 255;
  return {
    ...captured,
    link: { ...captured.link, source: MAC_ZERO, destination: MAC_ZERO },
    network: { ...network, ttl, source: asked.destination, destination: asked.source },
    transport:
      transport !== undefined &&
      "sourcePort" in transport &&
      question.transport !== undefined &&
      "sourcePort" in question.transport
        ? {
            ...transport,
            sourcePort: question.transport.destinationPort,
            destinationPort: question.transport.sourcePort,
          }
        : transport,
  };
}

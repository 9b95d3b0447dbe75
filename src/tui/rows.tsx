import { Text } from "ink";
import { memo, type ReactNode } from "react";

/** Rows that are exactly as wide as their place: one text, because Ink's cost follows cells and not nodes. */
export const Rows: (props: { readonly lines: readonly string[] }) => ReactNode = memo(
  function Rows({ lines }: { readonly lines: readonly string[] }): ReactNode {
    return <Text wrap="truncate-end">{lines.join("\n")}</Text>;
  },
  (before, after) =>
    before.lines.length === after.lines.length &&
    before.lines.every((line, index) => line === after.lines[index]),
);

import type { Size } from "./screen.js";

export type PaneName = "world" | "steps" | "left" | "right" | "middle" | "map";

/** A pane's place on the screen: columns and rows with its border, counted from 0. */
export interface PaneBox {
  readonly pane: PaneName;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export type LayoutKind = "large" | "medium" | "small" | "single" | "none";

export interface Layout {
  readonly kind: LayoutKind;
  /** Rows of the map strip under the title. */
  readonly strip: number;
  readonly panes: readonly PaneBox[];
  /** Panes that `Tab` walks through; more than are visible when one is shown at a time. */
  readonly order: readonly PaneName[];
}

export const SMALLEST: Size = { columns: 40, rows: 10 };

/** Which screens fit. Title, message row and hint row are outside the panes. */
export function layoutKind({ columns, rows }: Size): LayoutKind {
  if (columns < SMALLEST.columns || rows < SMALLEST.rows) return "none";
  if (columns >= 160 && rows >= 45) return "large";
  if (columns >= 100 && rows >= 30) return "medium";
  return columns >= 80 && rows >= 24 ? "small" : "single";
}

/** Where panes stand. `only` is the pane that fills the screen: zoomed, or the one shown when there is room for no more. */
export function layoutOf(size: Size, only: PaneName | undefined): Layout {
  const kind = layoutKind(size);
  const { columns, rows } = size;
  if (kind === "none") return { kind, strip: 0, panes: [], order: [] };
  const order = ORDER[kind];
  const strip = kind === "small" ? 1 : kind === "medium" ? 2 : 0;
  const top = 1 + strip;
  const height = rows - top - 2;
  const shown = only ?? (kind === "single" ? "steps" : undefined);
  if (shown !== undefined) {
    const pane = order.includes(shown) ? shown : "steps";
    return { kind, strip, order, panes: [{ pane, x: 0, y: top, width: columns, height }] };
  }
  const upper = Math.round(height * (kind === "large" ? 0.6 : kind === "medium" ? 0.46 : 0.5));
  const lower = height - upper;
  const below = top + upper;
  if (kind === "small") {
    return {
      kind,
      strip,
      order,
      panes: [
        { pane: "steps", x: 0, y: top, width: columns, height: upper },
        { pane: "left", x: 0, y: below, width: columns, height: lower },
      ],
    };
  }
  if (kind === "medium") {
    const half = Math.ceil(columns / 2);
    return {
      kind,
      strip,
      order,
      panes: [
        { pane: "steps", x: 0, y: top, width: columns, height: upper },
        { pane: "left", x: 0, y: below, width: half, height: lower },
        { pane: "right", x: half, y: below, width: columns - half, height: lower },
      ],
    };
  }
  const world = Math.round(columns * 0.17);
  const right = Math.round(columns * 0.3);
  const third = Math.round(columns * 0.3);
  const middle = columns - 2 * third;
  return {
    kind,
    strip,
    order,
    panes: [
      { pane: "world", x: 0, y: top, width: world, height: upper },
      { pane: "steps", x: world, y: top, width: columns - world - right, height: upper },
      { pane: "left", x: columns - right, y: top, width: right, height: upper },
      { pane: "map", x: 0, y: below, width: third, height: lower },
      { pane: "middle", x: third, y: below, width: middle, height: lower },
      { pane: "right", x: third + middle, y: below, width: third, height: lower },
    ],
  };
}

const ORDER: Readonly<Record<Exclude<LayoutKind, "none">, readonly PaneName[]>> = {
  large: ["world", "steps", "left", "map", "middle", "right"],
  medium: ["steps", "left", "right"],
  small: ["steps", "left"],
  single: ["steps", "left", "map"],
};

/** Inspector tabs by their number. */
export const TABS = ["Why", "Headers", "Bytes", "Chain", "State", "Map", "Source"] as const;
export type Tab = 1 | 2 | 3 | 4 | 5 | 6 | 7;

/** The pane that shows a tab, and the tabs that a pane shows, the most wanted first. */
export function paneOfTab(kind: LayoutKind, tab: Tab): PaneName {
  if (kind === "large")
    return tab === 6 ? "map" : tab === 2 || tab === 3 ? "middle" : tab === 5 ? "right" : "left";
  if (kind === "medium") return tab >= 4 ? "right" : "left";
  return "left";
}

/** What each pane shows when `tab` was chosen last, and `before` in the other panes. */
export function tabsOf(
  kind: LayoutKind,
  pane: PaneName,
  chosen: (group: readonly Tab[]) => Tab,
): readonly Tab[] {
  if (pane === "map") return [6];
  if (kind === "large") {
    if (pane === "middle") return chosen([2, 3]) === 3 ? [3, 2] : [2, 3];
    if (pane === "right") return [5];
    const left = chosen([1, 4, 7]);
    return left === 7 ? [7] : left === 4 ? [4, 1] : [1, 4];
  }
  if (kind === "medium") {
    if (pane === "left")
      return (
        (
          [
            [1, 3],
            [2, 3],
            [3, 1],
          ] as const
        )[chosen([1, 2, 3]) - 1] ?? [1, 3]
      );
    const right = chosen([4, 5, 6, 7]);
    return right === 4 ? [4, 5] : right === 5 ? [5, 4] : [right];
  }
  return [chosen([1, 2, 3, 4, 5, 6, 7])];
}

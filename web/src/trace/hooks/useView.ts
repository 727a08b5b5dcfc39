import { useCallback, useState } from "react";
import type { View } from "../fns/view";

export type ChangeView = (change: View) => void;

/** What is shown: kept by the caller, as in an address, or else here. */
export function useView(given: View | undefined, onGiven: ChangeView | undefined): [View, ChangeView] {
  const [own, setOwn] = useState<View>({});
  const change = useCallback<ChangeView>((more) => setOwn((before) => ({ ...before, ...more })), []);
  return onGiven ? [given ?? {}, onGiven] : [own, change];
}

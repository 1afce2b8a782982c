/** A view whose code comes when it is first shown, or cannot come: offline, before it was kept. */
import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";

interface Props<P> {
  load: () => Promise<ComponentType<P>>;
  given: P;
  onFailed(): void;
}

export function Later<P extends object>({ load, given, onFailed }: Props<P>) {
  const [View, setView] = useState<ComponentType<P>>();
  useEffect(() => void load().then((view) => setView(() => view), onFailed), []);
  return View ? <View {...given} /> : null;
}

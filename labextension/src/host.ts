/**
 * What the page round a picture can do for it. Widgets and rendered outputs are made by others, without
 * a way to hand things in: the plugins set this once, and a picture works without any of it.
 */

import type { Words } from './dag/words';
import type { FlowsFeed } from './feed';

export interface Host {
  feed: FlowsFeed | null;
  revealCell: ((cellId: string) => void) | null;
  trans: Words | null;
}

export const host: Host = { feed: null, revealCell: null, trans: null };

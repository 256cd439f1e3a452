/** How a state looks and reads: a glyph (never colour alone), a family for the colour, a word. */

export type Family = 'waiting' | 'paused' | 'running' | 'success' | 'failed' | 'stopped' | 'skipped' | 'stale' | 'none';

const LOOK: Record<string, readonly [glyph: string, family: Family]> = {
  Pending: ['○', 'waiting'],
  Scheduled: ['◷', 'waiting'],
  Queued: ['◷', 'waiting'],
  Submitted: ['◔', 'waiting'],
  Resume: ['◔', 'waiting'],
  Paused: ['‖', 'paused'],
  Running: ['▶', 'running'],
  Retrying: ['↻', 'running'],
  Cancelling: ['◼', 'running'],
  Success: ['✓', 'success'],
  Cached: ['≡', 'success'],
  Mapped: ['⁂', 'success'],
  Looped: ['↺', 'success'],
  Skipped: ['⤼', 'skipped'],
  Failed: ['✕', 'failed'],
  TimedOut: ['⧖', 'failed'],
  TriggerFailed: ['⊘', 'failed'],
  ValidationFailed: ['✕', 'failed'],
  Cancelled: ['◼', 'stopped']
};

export function glyphOf(state: string | undefined): string {
  return (state !== undefined && LOOK[state]?.[0]) || '○';
}

export function familyOf(state: string | undefined): Family {
  return (state !== undefined && LOOK[state]?.[1]) || 'none';
}

const ENDED = new Set<Family>(['success', 'failed', 'stopped', 'skipped']);

/** What a task's badge shows: its state, or that what it made is out of date. */
export function glyphOfTask(state: { state: string; stale?: string } | undefined): string {
  return isStale(state) ? '⟳' : glyphOf(state?.state);
}

/** Whether to show a task as out of date; that it failed, or runs, says more. */
export function isStale(state: { state: string; stale?: string } | undefined): boolean {
  return !!state?.stale && !['failed', 'running'].includes(familyOf(state.state));
}

export function isEnded(state: string | undefined): boolean {
  return ENDED.has(familyOf(state));
}

/** Seconds as people read them, as in the terminal: 40 ms, 2.3 s, 12 s, 3 m 05 s, 2 h 10 m. */
export function durationText(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds) || seconds < 0) {
    return '';
  }
  if (seconds > 0 && seconds < 0.9995) {
    return `${Math.max(1, Math.round(seconds * 1000))} ms`;
  }
  if (seconds < 9.95) {
    return `${seconds.toFixed(1)} s`;
  }
  const whole = Math.round(seconds);
  if (whole < 60) {
    return `${whole} s`;
  }
  const two = (n: number): string => String(n).padStart(2, '0');
  if (whole < 3600) {
    return `${Math.floor(whole / 60)} m ${two(whole % 60)} s`;
  }
  if (whole < 172_800) {
    return `${Math.floor(whole / 3600)} h ${two(Math.floor((whole % 3600) / 60))} m`;
  }
  return `${Math.floor(whole / 86_400)} d ${Math.floor((whole % 86_400) / 3600)} h`;
}

/** How long a state took so far: its own duration, else the difference of its times. */
export function secondsOf(
  state:
    | { duration_s?: number | null; started_at?: string | null; ended_at?: string | null; state?: string }
    | undefined,
  now: number = Date.now()
): number | null {
  if (!state) {
    return null;
  }
  if (typeof state.duration_s === 'number') {
    return state.duration_s;
  }
  const start = state.started_at ? Date.parse(state.started_at) : NaN;
  const end = state.ended_at
    ? Date.parse(state.ended_at)
    : familyOf(state.state) === 'running'
      ? now
      : NaN;
  return Number.isFinite(start) && Number.isFinite(end) ? Math.max(0, (end - start) / 1000) : null;
}

/** Children of a mapped task by family, in the order in which a bar shows them. */
export interface Parts {
  total: number;
  done: number;
  families: readonly (readonly [family: Family, count: number])[];
}

const BAR_ORDER: readonly Family[] = ['success', 'skipped', 'failed', 'stopped', 'running', 'paused', 'waiting', 'none'];

/** Sum up the counts of a mapped task by family; null: it is not mapped, or not yet. */
export function partsOf(counts: Readonly<Record<string, number>> | null | undefined): Parts | null {
  const sums = new Map<Family, number>();
  let total = 0;
  for (const [state, count] of Object.entries(counts ?? {})) {
    const family = familyOf(state);
    sums.set(family, (sums.get(family) ?? 0) + count);
    total += count;
  }
  if (total === 0) {
    return null;
  }
  const families = BAR_ORDER.filter(family => sums.has(family)).map(family => [family, sums.get(family)!] as const);
  const done = families.reduce((sum, [family, count]) => sum + (ENDED.has(family) ? count : 0), 0);
  return { total, done, families };
}

interface Progress {
  fraction?: number | null;
  text?: string;
}

/** 45 %; nothing if it is not known how much there is to do. */
export function percentText(progress: Progress | null | undefined): string {
  const fraction = progress?.fraction;
  return typeof fraction === 'number' ? `${Math.floor(100 * fraction)} %` : '';
}

/** How far a task is, as people read it: 45 % · 45/100. */
export function progressText(progress: Progress | null | undefined): string {
  return [percentText(progress), progress?.text ?? ''].filter(text => text !== '').join(' · ');
}

/** The family that colours a task: that of its children while they run or once one failed, else its own. */
export function familyOfTask(
  state: { state: string; counts?: Readonly<Record<string, number>> | null; stale?: string } | undefined
): Family {
  if (isStale(state)) {
    return 'stale';
  }
  const own = familyOf(state?.state);
  const parts = partsOf(state?.counts);
  if (parts === null || state?.state !== 'Mapped') {
    return own;
  }
  const has = (family: Family): boolean => parts.families.some(([item]) => item === family);
  return parts.done < parts.total ? 'running' : has('failed') ? 'failed' : own;
}

/** Every action of the extension by its id; toolbar, palette and panel only refer to these. */

export const CommandIDs = {
  debugRun: 'flows:debug-run',
  openPanel: 'flows:open-panel',
  openRun: 'flows:open-run',
  registerNotebook: 'flows:register-notebook',
  revealCell: 'flows:reveal-cell',
  runFlow: 'flows:run-flow'
} as const;

/** One text argument, as a JSON schema that JupyterLab shows to whoever calls a command. */
export const textArgument = (name: string, description: string, required: boolean): { args: object } => ({
  args: { ...textArguments({ [name]: description }).args, ...(required ? { required: [name] } : {}) }
});

/** Several, none of which is required. */
export const textArguments = (descriptions: Readonly<Record<string, string>>): { args: object } => ({
  args: {
    type: 'object',
    properties: Object.fromEntries(
      Object.entries(descriptions).map(([name, description]) => [name, { type: 'string', description }])
    )
  }
});

export const start = {
  title: 'Getting started',
  hint: 'What comes first. Each step shows what Star knows of it; you may go away and come back.',
  complete: 'All of it is done.',
  dismiss: 'Do not lead me here',
  recall: 'Lead me here again',
  first: 'The steps before it come first.',
  progress: '{done}/{all}',
  states: { begun: 'under way', done: 'done' },
  steps: {
    tenant: {
      title: 'Open the first tenant',
      text: 'A tenant is a customer with users, boxes and people of its own.',
      action: 'Open a tenant',
      look: 'Tenants',
    },
    box: {
      title: 'Connect a box',
      text: 'A Dipper box stands in each community, beside its recorders. Star makes a key and the command to run on the box.',
      action: 'Connect a box',
      look: 'Boxes',
    },
    recorder: {
      title: 'Add a recorder',
      text: 'The recorder keeps the footage of the cameras. The box finds its cameras by itself.',
      action: 'Add a recorder',
      look: 'Boxes and cameras',
    },
    person: {
      title: 'Enrol a person',
      text: 'A name and a sharp photo of the face.',
      action: 'Add a person',
      look: 'People',
    },
    search: {
      title: 'Run a search',
      text: 'Choose people, cameras and hours; the cost is shown before anything runs.',
      action: 'New search',
      look: 'Searches',
    },
  },
  says: {
    noTenant:
      'There is no tenant yet. A tenant is a customer with users, boxes and people of its own; its first administrator goes on from here.',
    opening: 'It is being opened.',
    keyMade: 'A key was made; no box has registered with it yet.',
    offline: 'A box has registered, and is not connected at the moment.',
    unreachable: 'The box gets no cameras from its recorder. Its page says why, and lets you correct it.',
    noCameras: 'The box is asking the recorder for its cameras.',
    faceWaits: 'The photo is being prepared.',
    faceRefused: 'No photo could be used. The page of people says why.',
    searching: 'A search is running, or was stopped before its end.',
  },
};

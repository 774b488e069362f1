/** What Star takes as a photo of a person. */
export const photoTypes = ['image/jpeg', 'image/png', 'image/webp'];
export const acceptPhotos = photoTypes.join(',');
